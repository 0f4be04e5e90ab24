/* What each shard is sent by a write that is written anew for it, and what is asked for first. The
 * answer of the server to value number i is "v<i>" of type text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/plan/scatter.h"
#include "tests/unit/router/plan/world.h"

struct world {
    struct sy_arena arena;
    const struct sy_shardmap *map;
    const struct sy_schema *schema;
    struct sy_parser *parser;
};

static struct world w;

/* One statement, planned. */
struct planned {
    struct sy_template *template;
    struct sy_scan scan;
    struct sy_route *route;
    struct sy_plan plan;
    struct sy_slice text;
};

static void plan(struct planned *p, const char *sql, const struct sy_slice *parameters,
                 uint32_t count)
{
    static const struct sy_slice path[] = {{"public", 6}};
    struct sy_err err = {0};
    *p = (struct planned){.text = sy_slice_of(sql)};
    struct sy_parse_settings parse = {.standard_conforming_strings = true, .hints_enabled = true};
    assert_int_equal(sy_parser_parse(w.parser, p->text, &parse, &p->template, &p->scan, &err),
                     SY_OK);
    struct sy_plan_context context = {.map = w.map,
                                      .schema = w.schema,
                                      .database = &world_database,
                                      .search_path = path,
                                      .search_path_count = 1};
    struct sy_plan_values values = {.text = p->text,
                                    .scan = &p->scan,
                                    .parameters = parameters,
                                    .parameter_count = count,
                                    .standard_conforming_strings = true};
    assert_int_equal(sy_route_prepare(&p->template->facts->stmts[0], &context, &p->route, &err),
                     SY_OK);
    assert_int_equal(sy_route_eval(p->route, &values, &p->scan.hints, &w.arena, &p->plan, &err),
                     SY_OK);
    if (p->plan.kind == SY_PLAN_REFUSED)
        fail_msg("%s: %s", sql, p->plan.refusal.text);
}

static void over(struct planned *p)
{
    sy_route_free(&p->route);
    sy_template_unref(w.parser, p->template);
}

/* What shard `shard` is sent; the question comes in front, with an arrow. */
static const char *sent(const char *sql, uint32_t shard)
{
    static char text[2000];
    struct planned p;
    struct sy_err err = {0};
    struct sy_scatter_ask ask = {0};
    struct sy_scattered scattered;
    struct sy_slice answers[40];
    plan(&p, sql, NULL, 0);
    text[0] = 0;
    enum sy_status status = sy_scatter_ask(p.route, p.text, &w.arena, &ask, &err);
    if (status == SY_OK) {
        assert_in_range(ask.count, 0, 20);
        for (uint32_t i = 0; i < ask.count; i++) {
            answers[2 * i] = sy_slice_of(sy_arena_printf(&w.arena, "v%u", i));
            answers[2 * i + 1] = SY_SLICE("text");
        }
        struct sy_scatter scatter = {.text = p.text,
                                     .answers = answers,
                                     .answer_count = ask.count,
                                     .rows = p.plan.rows,
                                     .row_count = p.plan.row_count,
                                     .shard = shard};
        status = sy_scatter_text(p.route, &scatter, &w.arena, &scattered, &err);
    }
    const char *inner = ask.count == 0 || status != SY_OK ? NULL : strstr(ask.sql.data, "(SELECT ");
    if (status == SY_OK)
        snprintf(text, sizeof(text), "%.*s%s%s",
                 inner == NULL ? 0 : (int)(strlen(inner) - strlen("(SELECT ") - strlen(") q")),
                 inner == NULL ? "" : inner + strlen("(SELECT "), inner == NULL ? "" : " -> ",
                 scattered.sql.data);
    else
        snprintf(text, sizeof(text), "%s: %s", sy_err_sqlstate(&err), err.text);
    over(&p);
    return text;
}

static void rows_of_other_shards_are_left_out(void **state)
{
    (void)state;
    static const char sql[] = "INSERT INTO comments (author_id, body) VALUES (6, 'a'), (1, 'b'), "
                              "(8, E'c\\'') RETURNING body";
    assert_string_equal(sent(sql, 1), "INSERT INTO comments (author_id, body) VALUES (6, 'a'), (8, "
                                      "'c''') RETURNING body");
    assert_string_equal(sent(sql, 2),
                        "INSERT INTO comments (author_id, body) VALUES (1, 'b') RETURNING body");
}

static void defaults_of_the_clock_are_written_out(void **state)
{
    (void)state;
    assert_string_equal(sent("INSERT INTO posts (author_id, title) VALUES (6, 'a'), (1, 'b')", 2),
                        "now() AS a0 OFFSET 0 -> INSERT INTO posts (author_id, title, at) VALUES "
                        "(1, 'b', 'v0'::text)");
    assert_string_equal(
        sent("INSERT INTO posts VALUES (5, 6, 'a', 'x', DEFAULT), (6, 1, 'b', 'x', NULL)", 1),
        "now() AS a0 OFFSET 0 -> INSERT INTO posts (id, author_id, title, body, at) "
        "VALUES (5, 6, 'a', 'x', 'v0'::text)");
    assert_string_equal(sent("INSERT INTO posts VALUES (5, 6, 'a'), (6, 1, 'b')", 1),
                        "now() AS a0 OFFSET 0 -> INSERT INTO posts (id, author_id, title, at) "
                        "VALUES (5, 6, 'a', 'v0'::text)");
    assert_string_equal(
        sent("INSERT INTO posts (author_id, title) SELECT author_id, body FROM comments", 0),
        "now() AS a0 OFFSET 0 -> INSERT INTO posts (author_id, title, at) SELECT author_id, body, "
        "'v0'::text AS switchyard_default FROM comments");
    assert_string_equal(sent("UPDATE posts SET at = DEFAULT, title = 'x'", 0),
                        "now() AS a0 OFFSET 0 -> UPDATE posts SET at = 'v0'::text, title = 'x'");
}

static void the_clock_is_read_once(void **state)
{
    (void)state;
    assert_string_equal(
        sent("UPDATE posts SET at = now(), title = now()::text || random() WHERE at < "
             "CURRENT_TIMESTAMP(3) - interval '1 day'",
             0),
        "now() AS a0, current_timestamp(3) AS a1 OFFSET 0 -> UPDATE posts SET at = 'v0'::text, "
        "title = 'v0'::text::text || random() WHERE at < ('v1'::text - '1 day'::interval)");
    assert_string_equal(sent("UPDATE posts SET (title, at) = ('x', DEFAULT)", 0),
                        "0A000: SET (...) = (... DEFAULT ...) on several shards is not supported");
}

static void copies_get_each_value_once(void **state)
{
    (void)state;
    assert_string_equal(
        sent("INSERT INTO countries (code, name) VALUES (random(), 'a'), (random(), 'b')", 0),
        "random() AS a0, now() AS a1, random() AS a2 OFFSET 0 -> INSERT INTO countries (code, "
        "name, added) VALUES ('v0'::text, 'a', 'v1'::text), ('v2'::text, 'b', 'v1'::text)");
    assert_string_equal(sent("DELETE FROM countries WHERE added < now()", 0),
                        "now() AS a0 OFFSET 0 -> DELETE FROM countries WHERE added < 'v0'::text");
    assert_string_equal(
        sent("UPDATE countries SET name = to_char(added, 'YYYY') || to_char(now(), 'YYYY')", 0),
        "now() AS a0 OFFSET 0 -> UPDATE countries SET name = to_char(added, 'YYYY') || "
        "to_char('v0'::text, 'YYYY')");
    assert_string_equal(
        sent("INSERT INTO countries VALUES ((SELECT random()), 'b', now())", 0),
        "0A000: calling random() in this place, in a write on several shards, is not supported");
}

static void parameters_are_numbered_anew(void **state)
{
    (void)state;
    static const struct sy_slice values[] = {{"6", 1}, {"x", 1}, {"1", 1}, {"y", 1}};
    struct planned p;
    struct sy_err err = {0};
    struct sy_scattered out;
    plan(&p, "INSERT INTO comments (author_id, body) VALUES ($1, $2), ($3, $4 || $2)", values, 4);
    assert_int_equal(p.plan.kind, SY_PLAN_ROWS);
    struct sy_scatter scatter = {.text = p.text, .rows = p.plan.rows, .row_count = 2, .shard = 2};
    assert_int_equal(sy_scatter_text(p.route, &scatter, &w.arena, &out, &err), SY_OK);
    assert_string_equal(out.sql.data,
                        "INSERT INTO comments (author_id, body) VALUES ($1, $2 || $3)");
    assert_int_equal(out.parameter_count, 3);
    assert_int_equal(out.parameters[0], 3);
    assert_int_equal(out.parameters[1], 4);
    assert_int_equal(out.parameters[2], 2);
    over(&p);
}

static void locks_stand_in_one_order(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, "UPDATE sections SET name = 'x'", NULL, 0);
    assert_string_equal(sy_route_lock_sql(p.route, &w.arena).data,
                        "LOCK TABLE \"public\".\"sections\" IN SHARE ROW EXCLUSIVE MODE");
    over(&p);
    plan(&p, "WITH x AS (DELETE FROM countries RETURNING 1) DELETE FROM sections", NULL, 0);
    assert_string_equal(
        sy_route_lock_sql(p.route, &w.arena).data,
        "LOCK TABLE \"public\".\"sections\", \"public\".\"countries\" IN SHARE ROW EXCLUSIVE MODE");
    over(&p);
    plan(&p, "UPDATE posts SET title = 'x'", NULL, 0);
    assert_int_equal(sy_route_lock_sql(p.route, &w.arena).bytes, 0);
    over(&p);
}

int main(void)
{
    struct sy_parser_options options = {0};
    w.map = world_map(&w.arena);
    w.schema = world_schema();
    if (sy_parser_new(&options, &w.parser, NULL) != SY_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_other_shards_are_left_out),
        cmocka_unit_test(defaults_of_the_clock_are_written_out),
        cmocka_unit_test(the_clock_is_read_once),
        cmocka_unit_test(copies_get_each_value_once),
        cmocka_unit_test(parameters_are_numbered_anew),
        cmocka_unit_test(locks_stand_in_one_order),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_parser_free(&w.parser);
    sy_schema_unref(&w.schema);
    sy_arena_release(&w.arena);
    return failed;
}
