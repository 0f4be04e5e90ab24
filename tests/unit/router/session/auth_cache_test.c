/* Roles that were looked up: remembered for a while, forgotten on demand, and never many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "router/session/auth_cache.h"

#define blog SY_SLICE("blog")
#define app SY_SLICE("app")

static struct sy_auth_cache *make(void)
{
    struct sy_auth_cache *cache = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_auth_cache_new(7, &cache, &err), SY_OK);
    return cache;
}

static void remembers_until_its_time_and_forgets_when_told(void **state)
{
    (void)state;
    struct sy_auth_cache *cache = make();
    struct sy_auth_role role = {.may_log_in = true, .secret = "md5x", .connections_max = 3}, found;
    assert_false(sy_auth_cache_find(cache, blog, app, 1, &found));
    sy_auth_cache_put(cache, blog, app, &role, 1000);
    assert_true(sy_auth_cache_find(cache, blog, app, 999, &found));
    assert_string_equal(found.secret, "md5x");
    assert_int_equal(found.connections_max, 3);
    assert_false(sy_auth_cache_find(cache, blog, app, 1000, &found));
    assert_false(sy_auth_cache_find(cache, app, blog, 1, &found));
    assert_false(sy_auth_cache_find(cache, SY_SLICE("blo"), SY_SLICE("gapp"), 1, &found));
    memcpy(role.secret, "md5y", 5);
    sy_auth_cache_put(cache, blog, app, &role, 2000); /* in the same place */
    assert_true(sy_auth_cache_find(cache, blog, app, 1500, &found));
    assert_string_equal(found.secret, "md5y");
    sy_auth_cache_forget(cache, blog, app);
    assert_false(sy_auth_cache_find(cache, blog, app, 1500, &found));
    sy_auth_cache_forget(cache, blog, app);
    sy_auth_cache_free(&cache);
    assert_null(cache);
    sy_auth_cache_free(&cache);
}

static void names_without_end_push_out_the_oldest(void **state)
{
    (void)state;
    struct sy_auth_cache *cache = make();
    const struct sy_auth_role role = {.connections_max = -1};
    struct sy_auth_role found;
    char name[32];
    enum { NAMES = 5 * SY_LIMIT_AUTH_QUERY_CACHE };
    unsigned known = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        int bytes = snprintf(name, sizeof(name), "user%u", i);
        sy_auth_cache_put(cache, blog, (struct sy_slice){name, (size_t)bytes}, &role, 1000 + i);
    }
    for (unsigned i = 0; i < NAMES; i++) {
        int bytes = snprintf(name, sizeof(name), "user%u", i);
        known += sy_auth_cache_find(cache, blog, (struct sy_slice){name, (size_t)bytes}, 1, &found);
    }
    assert_true(known > 0 && known <= SY_LIMIT_AUTH_QUERY_CACHE);
    assert_true(sy_auth_cache_find(cache, blog, (struct sy_slice){name, strlen(name)}, 1, &found));
    sy_auth_cache_free(&cache);
}

static void names_that_no_role_can_have_are_not_kept(void **state)
{
    (void)state;
    struct sy_auth_cache *cache = make();
    const struct sy_auth_role role = {.connections_max = -1};
    struct sy_auth_role found;
    char longest[SY_LIMIT_SERVER_NAME_BYTES + 1];
    memset(longest, 'x', sizeof(longest));
    const struct sy_slice user = {longest, SY_LIMIT_NAME_BYTES + 1},
                          database = {longest, sizeof(longest)};
    sy_auth_cache_put(cache, blog, user, &role, 1000);
    sy_auth_cache_put(cache, database, app, &role, 1000);
    assert_false(sy_auth_cache_find(cache, blog, user, 1, &found));
    assert_false(sy_auth_cache_find(cache, database, app, 1, &found));
    sy_auth_cache_forget(cache, database, app);
    sy_auth_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_until_its_time_and_forgets_when_told),
        cmocka_unit_test(names_without_end_push_out_the_oldest),
        cmocka_unit_test(names_that_no_role_can_have_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
