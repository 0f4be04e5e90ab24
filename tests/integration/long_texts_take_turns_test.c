/* A Query may hold very many statements: it costs as much as they do one by one, and the worker's
 * other clients are served meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

enum { MANY = 10000 };

/* `count` times the statement, with a key of either shard for @ and a number for #. */
static char *text_of(const char *first, const char *statement, int count, const char *last)
{
    size_t most = strlen(first) + strlen(last) + (size_t)count * (strlen(statement) + 24) + 1;
    char *text = malloc(most), *at = text;
    assert_non_null(text);
    at += snprintf(at, most, "%s", first);
    for (int i = 0; i < count; i++) {
        for (const char *c = statement; *c != 0; c++)
            if (*c == '@' || *c == '#')
                at += snprintf(at, most - (size_t)(at - text), "%d", *c == '@' ? i % 2 + 1 : i);
            else
                *at++ = *c;
        *at++ = ';';
    }
    snprintf(at, most - (size_t)(at - text), "%s", last);
    return text;
}

/* What a text of many statements answers: how many completed, and the first error. */
static int run_text(PGconn *c, const char *text, char *ret_error)
{
    int completed = 0;
    PGresult *result;
    ret_error[0] = 0;
    assert_int_equal(PQsendQuery(c, text), 1);
    while ((result = PQgetResult(c)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        completed += status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (status == PGRES_FATAL_ERROR)
            snprintf(ret_error, 6, "%s", PQresultErrorField(result, PG_DIAG_SQLSTATE));
        PQclear(result);
    }
    return completed;
}

static void ten_thousand_statements_over_two_shards_are_one_transaction(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    char error[8];
    char *text = text_of("", "insert into orders(customer_id, id) values (@, #)", MANY, "");
    assert_int_equal(run_text(c, text, error), MANY);
    assert_string_equal(error, "");
    assert_string_equal(sy_ask(c, "select count(*) from orders"), "10000");
    free(text);
    /* The last one fails: nothing of it stays. */
    text = text_of("", "delete from orders where customer_id = @ and id = #", 1000, "select 1/0");
    assert_int_equal(run_text(c, text, error), 1000);
    assert_string_equal(error, "22012");
    assert_string_equal(sy_ask(c, "select count(*) from orders"), "10000");
    free(text);
    PQfinish(c);
}

static void one_shard_takes_all_of_it_at_once(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    char error[8];
    char *text =
        text_of("set application_name = 'loader';", "insert into t values (#, 'semi;colon @')",
                MANY, "set application_name to 'done'");
    assert_int_equal(run_text(c, text, error), MANY + 2);
    assert_string_equal(error, "");
    assert_string_equal(sy_ask(c, "select count(*) from t"), "10000");
    assert_string_equal(sy_ask(c, "show application_name"), "done");
    free(text);
    PQfinish(c);
}

/* A text with an error in its grammar does nothing, and tells PostgreSQL's position. */
static void an_error_in_the_grammar_comes_before_everything(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    char *text = text_of("", "delete from orders where customer_id = @ and id = #", 200,
                         "select 1 +; select 2");
    PGresult *result = PQexec(c, text);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42601");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
                        "syntax error at or near \";\"");
    char position[24];
    snprintf(position, sizeof(position), "%zu", (size_t)(strstr(text, "1 +;") - text) + 4);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION), position);
    PQclear(result);
    free(text);
    assert_string_equal(sy_ask(c, "select count(*) from orders"), "10000");
    /* Semicolons inside a statement, which only the grammar knows. */
    text = text_of("", "select @ + #", 200,
                   "create function two() returns int begin atomic; select 1; select 2; end;"
                   "select count(*) from orders where customer_id in (1, 2)");
    char error[8];
    PGconn *b = sy_router_connect(router, "blog", NULL);
    char *at = strstr(text, ";select count(*)");
    *at = 0;
    assert_int_equal(run_text(b, text, error), 201);
    assert_string_equal(error, "");
    assert_string_equal(sy_ask(b, "select two()"), "2");
    free(text);
    PQfinish(b);
    PQfinish(c);
}

/* The place of an error counts in the text that the client sent, whichever statement it is in. */
static void errors_are_placed_in_the_whole_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "select name from customers where id = 1; select name from customers where id = 2; select "
        "nosuch",
        "select '\xc3\xa4\xc3\xb6' from customers where id = 1; select nosuch from customers where "
        "id = 2;",
        "begin; select 1; select nosuch from customers where id = 2; commit",
        "select name from customers where id = 1; select 'x'::nosuch from customers where id = 2",
    };
    PGconn *server = sy_cluster_connect(cluster, 0, "s0");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        PGconn *c = sy_router_connect(router, "shop", NULL);
        PGresult *direct = PQexec(server, texts[i]), *routed = PQexec(c, texts[i]);
        const char *wanted = PQresultErrorField(direct, PG_DIAG_STATEMENT_POSITION);
        const char *told = PQresultErrorField(routed, PG_DIAG_STATEMENT_POSITION);
        assert_non_null(wanted);
        assert_non_null(told);
        assert_string_equal(told, wanted);
        PQclear(direct);
        PQclear(routed);
        sy_run(server, "rollback");
        PQfinish(c);
    }
    PQfinish(server);
}

/* The client's state as the console tells it. */
static bool is_at_work(PGconn *console, const char *name)
{
    bool active = false;
    PGresult *result = PQexec(console, "show clients");
    int state = PQfnumber(result, "state"), application = PQfnumber(result, "application_name");
    for (int i = 0; i < PQntuples(result); i++)
        active = active || (strcmp(PQgetvalue(result, i, application), name) == 0 &&
                            strcmp(PQgetvalue(result, i, state), "active") == 0);
    PQclear(result);
    return active;
}

/* Statements that no server is needed for give the worker no other reason to look up. */
static void others_are_answered_in_between(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", "application_name=busy");
    PGconn *console = sy_router_connect(router, "switchyard", NULL);
    char *text = text_of("begin;", "savepoint s@_#", MANY, "rollback");
    bool seen = false;
    for (int attempt = 0; attempt < 200 && !seen; attempt++) {
        PGresult *result;
        assert_int_equal(PQsendQuery(c, text), 1);
        assert_non_null(result = PQgetResult(c)); /* it has begun */
        PQclear(result);
        seen = is_at_work(console, "busy");
        while ((result = PQgetResult(c)) != NULL)
            PQclear(result);
    }
    assert_true(seen);
    free(text);
    PQfinish(console);
    PQfinish(c);
}

/* What a text did inside a block is known afterwards. */
static void a_block_begun_in_a_text_goes_on_behind_it(void **state)
{
    (void)state;
    static const char *const databases[] = {"shop", "blog"};
    for (int i = 0; i < 2; i++) {
        PGconn *c = sy_router_connect(router, databases[i], NULL);
        assert_string_equal(sy_run(c, "begin; savepoint a; select 1/0"), "ERROR 22012");
        assert_string_equal(sy_run(c, "rollback to a"), "ROLLBACK");
        assert_string_equal(sy_ask(c, "select 1"), "1");
        assert_string_equal(sy_run(c, "release a; commit"), "COMMIT");
        sy_run(c, "set work_mem = '1MB'");
        sy_run(c, "begin; set work_mem = '2MB'; select 1");
        assert_string_equal(sy_ask(c, "show work_mem"), "2MB");
        sy_run(c, "rollback");
        assert_string_equal(sy_ask(c, "show work_mem"), "1MB");
        sy_run(c, "set work_mem = '3MB'; reset work_mem");
        assert_string_equal(sy_ask(c, "show work_mem"), "4MB");
        PQfinish(c);
    }
}

/* A SET in a text is brought over to another server by itself, without its neighbours. */
static void a_setting_of_a_text_travels_alone(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_run(c, "delete from audit");
    assert_string_equal(sy_run(c, "set work_mem = '5MB'; insert into audit values (1, 'once')"),
                        "INSERT 0 1");
    assert_string_equal(sy_ask(c, "select name from customers where id = 2"), "");
    assert_string_equal(sy_ask(c, "select count(*) from audit"), "1");
    assert_string_equal(sy_cluster_value(cluster, 0, "s1", "select count(*) from audit"), "0");
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_statements_over_two_shards_are_one_transaction),
        cmocka_unit_test(one_shard_takes_all_of_it_at_once),
        cmocka_unit_test(an_error_in_the_grammar_comes_before_everything),
        cmocka_unit_test(errors_are_placed_in_the_whole_text),
        cmocka_unit_test(others_are_answered_in_between),
        cmocka_unit_test(a_block_begun_in_a_text_goes_on_behind_it),
        cmocka_unit_test(a_setting_of_a_text_travels_alone),
    };
    cluster = world_cluster();
    router = sy_router_start(world_databases(cluster, "size = 3;"), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
