/* The hash map against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

enum { KEYS = 2000, STEPS = 200000 };

struct item {
    char name[16];
    bool present;
};

static struct item items[KEYS];

static void agrees_with_an_array_under_random_changes(void **state)
{
    (void)state;
    struct sy_map map = {0};
    unsigned present = 0;
    srandom(7);
    for (int i = 0; i < KEYS; i++)
        snprintf(items[i].name, sizeof(items[i].name), "key%d", i * 31);
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[random() % KEYS];
        struct sy_slice key = sy_slice_of(item->name);
        assert_ptr_equal(sy_map_get(&map, key), item->present ? item : NULL);
        assert_ptr_equal(sy_map_get_hashed(&map, key, sy_map_hash(key)),
                         item->present ? item : NULL);
        if (random() % 5 < 3) {
            void *previous = &map;
            assert_int_equal(sy_map_put(&map, key, item, &previous, NULL), SY_OK);
            assert_ptr_equal(previous, item->present ? item : NULL);
            present += !item->present;
            item->present = true;
        } else {
            assert_ptr_equal(sy_map_remove(&map, key), item->present ? item : NULL);
            present -= item->present;
            item->present = false;
        }
        assert_int_equal(map.count, present);
    }
    unsigned seen = 0;
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&map, &at, &entry);) {
        assert_true(((struct item *)entry.value)->present);
        assert_ptr_equal(entry.key, ((struct item *)entry.value)->name);
        seen++;
    }
    assert_int_equal(seen, present);
    sy_map_release(&map);
}

static void works_empty_cleared_and_with_odd_keys(void **state)
{
    (void)state;
    struct sy_map map = {0};
    size_t at = 0;
    struct sy_map_entry entry;
    int value = 0;
    assert_null(sy_map_get(&map, SY_SLICE("x")));
    assert_null(sy_map_remove(&map, SY_SLICE("x")));
    assert_false(sy_map_next(&map, &at, &entry));
    sy_map_clear(&map);
    assert_int_equal(sy_map_put(&map, (struct sy_slice){NULL, 0}, &value, NULL, NULL), SY_OK);
    assert_int_equal(sy_map_put(&map, SY_SLICE("a\0b"), &map, NULL, NULL), SY_OK);
    assert_ptr_equal(sy_map_get(&map, SY_SLICE("")), &value);
    assert_ptr_equal(sy_map_get(&map, SY_SLICE("a\0b")), &map);
    assert_null(sy_map_get(&map, SY_SLICE("a")));
    sy_map_clear(&map);
    assert_null(sy_map_get(&map, SY_SLICE("")));
    assert_int_equal(sy_map_reserve(&map, 1000, NULL), SY_OK);
    struct sy_map_entry *slots = map.slots;
    static char names[1000][8];
    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        assert_int_equal(sy_map_put(&map, sy_slice_of(names[i]), &value, NULL, NULL), SY_OK);
    }
    assert_ptr_equal(map.slots, slots);
    struct sy_err err;
    assert_int_equal(sy_map_reserve(&map, SIZE_MAX, &err), SY_E_LIMIT);
    sy_map_release(&map);
    assert_null(map.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array_under_random_changes),
        cmocka_unit_test(works_empty_cleared_and_with_odd_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
