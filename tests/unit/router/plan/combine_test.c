/*
 * What the shards are sent, and what is left to the router, when rows of several shards make one
 * answer. The cases are in combine_cases.txt:
 *
 *     statement
 *     @ parameters        (optional: text values of LIMIT and OFFSET, NULL, b:hex for binary)
 *     => what is done     (the text for the shards, then the router's steps; "perhaps" when the
 * types may turn out not to be comparable; "limit 3 offset 1", the bounds of the execution; or
 * "refused SQLSTATE message")
 *
 * With SY_PLAN_PRINT=1 the program prints the file with what it finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/plan/combine.h"
#include "tests/unit/router/plan/world.h"

enum { PARAMETERS_MAX = 4, LINE_BYTES = 4096 };

struct parameters {
    struct sy_slice values[PARAMETERS_MAX];
    uint16_t formats[PARAMETERS_MAX];
    uint32_t count;
    char bytes[PARAMETERS_MAX * 16];
};

struct world {
    struct sy_arena arena;
    const struct sy_shardmap *map;
    const struct sy_schema *schema;
    struct sy_parser *parser;
};

static void read_parameters(char *line, struct parameters *p)
{
    size_t used = 0;
    for (char *word = strsep(&line, ";"); word != NULL; word = strsep(&line, ";")) {
        uint32_t at = p->count++;
        if (strcmp(word, "NULL") == 0)
            continue;
        p->values[at] = sy_slice_of(word);
        if (strncmp(word, "b:", 2) != 0)
            continue;
        p->formats[at] = 1;
        p->values[at].data = p->bytes + used;
        for (const char *hex = word + 2; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
            char pair[3] = {hex[0], hex[1], '\0'};
            p->bytes[used++] = (char)strtoul(pair, NULL, 16);
        }
        p->values[at].bytes = (size_t)(p->bytes + used - p->values[at].data);
    }
}

static void print_refusal(const struct sy_err *err, struct sy_buf *out)
{
    assert_true(strcmp(sy_err_sqlstate(err), "0A000") != 0 || err->hint[0] != '\0');
    sy_buf_printf(out, "refused %s %s", sy_err_sqlstate(err), err->text);
}

/* The words of EXPLAIN (ROUTE), in one line. */
static void print_steps(const struct sy_combined *combined, struct sy_buf *out)
{
    struct sy_buf words = {0};
    sy_combined_explain(combined, &words);
    sy_buf_append_u8(&words, 0);
    assert_false(words.failed);
    char *rest = words.data;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        const char *text = strncmp(line, "Each shard is sent: ", 20) == 0 ? line + 20
                           : strncmp(line, "Step: ", 6) == 0              ? line + 6
                                                                          : line;
        if (*text != '\0')
            sy_buf_printf(out, "%s%s", text == line + 20 ? "" : " | ", text);
    }
    sy_buf_release(&words);
}

static void print_bounds(const struct sy_combined *combined, const struct sy_plan_values *values,
                         struct sy_buf *out)
{
    uint64_t limit = 0, offset = 0;
    struct sy_err err = {0};
    sy_buf_append_str(out, " | ");
    if (sy_combined_bounds(&combined->spec, values, &limit, &offset, &err) != SY_OK)
        print_refusal(&err, out);
    else if (limit == UINT64_MAX)
        sy_buf_printf(out, "no limit, offset %llu", (unsigned long long)offset);
    else
        sy_buf_printf(out, "limit %llu offset %llu", (unsigned long long)limit,
                      (unsigned long long)offset);
}

static void combine(const struct sy_route *route, struct sy_slice text, const struct parameters *p,
                    struct sy_arena *arena, struct sy_buf *out)
{
    struct sy_combined combined;
    struct sy_err err = {0};
    if (sy_route_combine(route, text, arena, &combined, &err) != SY_OK) {
        print_refusal(&err, out);
        return;
    }
    struct sy_plan_values values = {.parameters = p->values,
                                    .parameter_count = p->count,
                                    .parameter_formats = p->formats,
                                    .parameter_format_count = p->count};
    print_steps(&combined, out);
    if (combined.uncertain)
        sy_buf_append_str(out, " | perhaps");
    if (combined.spec.limit.kind != SY_BOUND_NONE || combined.spec.offset.kind != SY_BOUND_NONE)
        print_bounds(&combined, &values, out);
}

static void plan_statement(struct world *w, const char *sql, const struct parameters *p,
                           struct sy_buf *out)
{
    static const struct sy_slice path[] = {{"public", 6}};
    struct sy_slice text = sy_slice_of(sql);
    struct sy_err err = {0};
    struct sy_template *template_ = NULL;
    struct sy_scan scan = {0};
    struct sy_route *route = NULL;
    struct sy_plan plan;
    struct sy_arena arena = {0};
    struct sy_parse_settings parse = {.standard_conforming_strings = true, .hints_enabled = true};
    struct sy_plan_context context = {.map = w->map,
                                      .schema = w->schema,
                                      .database = &world_database,
                                      .search_path = path,
                                      .search_path_count = 1};
    struct sy_plan_values values = {.text = text,
                                    .scan = &scan,
                                    .parameters = p->values,
                                    .parameter_count = p->count,
                                    .standard_conforming_strings = true};
    if (sy_parser_parse(w->parser, text, &parse, &template_, &scan, &err) != SY_OK)
        fail_msg("%s: %s", sql, err.text);
    assert_int_equal(sy_route_prepare(&template_->facts->stmts[0], &context, &route, &err), SY_OK);
    assert_int_equal(sy_route_eval(route, &values, &scan.hints, &arena, &plan, &err), SY_OK);
    if (plan.kind == SY_PLAN_MERGE)
        combine(route, text, p, &arena, out);
    else if (plan.kind == SY_PLAN_REFUSED)
        print_refusal(&plan.refusal, out);
    else
        sy_buf_append_str(out, "not merged");
    sy_arena_release(&arena);
    sy_route_free(&route);
    sy_template_unref(w->parser, template_);
}

static void make_world(struct world *w)
{
    struct sy_parser_options options = {0};
    *w = (struct world){0};
    w->map = world_map(&w->arena);
    w->schema = world_schema();
    assert_int_equal(sy_parser_new(&options, &w->parser, NULL), SY_OK);
}

static void free_world(struct world *w)
{
    sy_parser_free(&w->parser);
    sy_schema_unref(&w->schema);
    sy_arena_release(&w->arena);
}

static bool check_case(struct world *w, const char *sql, char *parameters, const char *expected,
                       unsigned number)
{
    struct parameters p = {0};
    struct sy_buf out = {0};
    bool print = getenv("SY_PLAN_PRINT") != NULL;
    if (parameters[0] != '\0')
        read_parameters(parameters, &p);
    plan_statement(w, sql, &p, &out);
    bool right = sy_slice_eq(sy_slice_of(expected), (struct sy_slice){out.data, out.bytes});
    if (print)
        printf("=> %.*s\n", (int)out.bytes, out.data);
    else if (!right)
        print_error("line %u: %s\n  expected %s\n  got      %.*s\n", number, sql, expected,
                    (int)out.bytes, out.data);
    sy_buf_release(&out);
    return right || print;
}

static void combines_every_case_as_written(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    FILE *file = fopen(SY_SOURCE_DIR "/tests/unit/router/plan/combine_cases.txt", "r");
    assert_non_null(file);
    char line[LINE_BYTES], sql[LINE_BYTES] = "", parameters[LINE_BYTES] = "";
    unsigned cases = 0, wrong = 0, number = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "=>", 2) == 0) {
            cases++;
            wrong += !check_case(&w, sql, parameters, line[2] == ' ' ? line + 3 : "", number);
            parameters[0] = '\0';
            continue;
        }
        if (getenv("SY_PLAN_PRINT") != NULL)
            printf("%s\n", line);
        if (line[0] == '@')
            strcpy(parameters, line + 2);
        else if (line[0] != '#' && line[0] != '\0')
            strcpy(sql, line);
    }
    fclose(file);
    free_world(&w);
    assert_int_equal(wrong, 0);
    assert_true(cases >= 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combines_every_case_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
