/*
 * Statements to plans, through the real parser. The cases are in route_cases.txt:
 *
 *     statement
 *     @ parameters        (optional: text values, NULL, b:hex for binary, value/oid for a declared
 * type) ! settings          (optional: temp=NAME, path=a,b, default=local|reference, one (shard),
 * noschema, tz=ZONE, federation=on|off, latin: the servers' encoding)
 *     => plan             ("single s1", "concat s0 s1", "refused 0A000 message"; "replica" when one
 * may serve it)
 *
 * With SY_PLAN_PRINT=1 the program prints the file with the plans that it finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/router/plan/world.h"

enum { PARAMETERS_MAX = 16 };

struct settings {
    struct sy_slice path[4], temporary[4];
    uint32_t path_count, temporary_count;
    bool one_shard, no_schema, scs_off, latin;
    const char *federation; /* "on", "off": not ready; NULL: none */
    enum sy_placement_kind placement;
    const char *zone;
};

struct parameters {
    struct sy_slice values[PARAMETERS_MAX];
    uint16_t formats[PARAMETERS_MAX];
    uint32_t types[PARAMETERS_MAX];
    uint32_t count;
    char bytes[512];
};

static void words(char *text, const char *separators, struct sy_slice *ret_words,
                  uint32_t *ret_count)
{
    for (char *word = strsep(&text, separators); word != NULL; word = strsep(&text, separators))
        if (*word != '\0')
            ret_words[(*ret_count)++] = sy_slice_of(word);
}

static void read_settings(char *line, struct settings *s)
{
    for (char *word = strsep(&line, " "); word != NULL; word = strsep(&line, " ")) {
        if (strncmp(word, "federation=", 11) == 0)
            s->federation = strcmp(word + 11, "on") == 0 ? "on" : "off";
        else if (strncmp(word, "temp=", 5) == 0)
            words(word + 5, ",", s->temporary, &s->temporary_count);
        else if (strncmp(word, "path=", 5) == 0) {
            s->path_count = 0;
            words(word + 5, ",", s->path, &s->path_count);
        } else if (strcmp(word, "default=local") == 0)
            s->placement = SY_PLACEMENT_LOCAL;
        else if (strcmp(word, "default=reference") == 0)
            s->placement = SY_PLACEMENT_REFERENCE;
        else if (strcmp(word, "one") == 0)
            s->one_shard = true;
        else if (strcmp(word, "noschema") == 0)
            s->no_schema = true;
        else if (strcmp(word, "latin") == 0)
            s->latin = true;
        else if (strncmp(word, "tz=", 3) == 0)
            s->zone = word + 3;
        else
            fail_msg("unknown setting %s", word);
    }
}

static void read_parameters(char *line, struct parameters *p)
{
    size_t used = 0;
    for (char *word = strsep(&line, ";"); word != NULL; word = strsep(&line, ";")) {
        uint32_t at = p->count++;
        char *oid = strrchr(word, '/');
        if (oid != NULL && oid[1] >= '1' && oid[1] <= '9') {
            p->types[at] = (uint32_t)strtoul(oid + 1, NULL, 10);
            *oid = '\0';
        }
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

static void print_plan(const struct sy_route *route, const struct sy_plan *plan,
                       const struct sy_shardmap *map, bool detail, struct sy_buf *out)
{
    static const char *const kinds[] = {
        [SY_PLAN_SINGLE] = "single",  [SY_PLAN_CONCAT] = "concat",     [SY_PLAN_MERGE] = "merge",
        [SY_PLAN_ALL] = "all",        [SY_PLAN_SPLIT] = "split",       [SY_PLAN_ROWS] = "rows",
        [SY_PLAN_ANY] = "any",        [SY_PLAN_FEDERATE] = "federate", [SY_PLAN_ROUTER] = "router",
        [SY_PLAN_REFUSED] = "refused"};
    sy_buf_append_str(out, kinds[plan->kind]);
    if (plan->kind == SY_PLAN_REFUSED) {
        sy_buf_printf(out, " %s %s", sy_err_sqlstate(&plan->refusal), plan->refusal.text);
        if (detail && plan->refusal.detail[0] != '\0')
            sy_buf_printf(out, " (%s)", plan->refusal.detail);
        return;
    }
    for (uint32_t i = 0; i < sy_shardmap_shard_count(map); i++)
        if (sy_shard_set_has(&plan->shards, i))
            sy_buf_printf(out, " s%u", i);
    if (plan->role == SY_ROLE_REPLICA)
        sy_buf_append_str(out, " replica");
    if (plan->maps_nowhere)
        sy_buf_append_str(out, " nowhere");
    if (plan->uses_temporary)
        sy_buf_append_str(out, " temporary");
    if (sy_route_figures(route) != NULL)
        sy_buf_append_str(out, " figures");
}

struct world {
    struct sy_arena arena;
    const struct sy_shardmap *map, *single_map;
    const struct sy_schema *schema;
    struct sy_parser *parser;
    struct sy_federation federation[2]; /* with all tables and views but "days"; not ready */
};

static void plan_statement(struct world *w, const char *sql, const struct settings *s,
                           const struct parameters *p, struct sy_buf *out)
{
    struct sy_slice text = sy_slice_of(sql);
    struct sy_err err = {0};
    struct sy_template *template_ = NULL;
    struct sy_scan scan = {0};
    struct sy_parse_settings parse = {.standard_conforming_strings = true, .hints_enabled = true};
    if (sy_parser_parse(w->parser, text, &parse, &template_, &scan, &err) != SY_OK) {
        sy_buf_printf(out, "syntax error %s", err.text);
        return;
    }
    struct sy_config_database database = world_database;
    database.default_placement = s->placement;
    struct sy_plan_context context = {.map = s->one_shard ? w->single_map : w->map,
                                      .schema = s->no_schema ? NULL : w->schema,
                                      .database = &database,
                                      .search_path = s->path,
                                      .search_path_count = s->path_count,
                                      .temporary = s->temporary,
                                      .temporary_count = s->temporary_count};
    struct sy_plan_values values = {.text = text,
                                    .scan = &scan,
                                    .parameters = p->values,
                                    .parameter_count = p->count,
                                    .parameter_formats = p->formats,
                                    .parameter_format_count = p->count,
                                    .parameter_types = p->types,
                                    .parameter_type_count = p->count,
                                    .standard_conforming_strings = true};
    values.key_context.time_zone = sy_slice_of(s->zone);
    values.key_context.server_encoding_differs = s->latin;
    if (s->federation != NULL)
        context.federation = &w->federation[strcmp(s->federation, "off") == 0];
    database.federation_node = s->federation == NULL ? NULL : "s0";
    for (int32_t i = 0; i < template_->facts->stmt_count; i++) {
        struct sy_route *route = NULL;
        struct sy_plan plan;
        struct sy_arena arena = {0};
        struct sy_buf words_out = {0};
        assert_int_equal(sy_route_prepare(&template_->facts->stmts[i], &context, &route, &err),
                         SY_OK);
        memset(&plan, 0xa5, sizeof(plan)); /* what an earlier plan left on the stack */
        assert_int_equal(sy_route_eval(route, &values, &scan.hints, &arena, &plan, &err), SY_OK);
        assert_true(plan.kind == SY_PLAN_ROWS || (plan.rows == NULL && plan.row_count == 0));
        if (i > 0)
            sy_buf_append_str(out, "; ");
        print_plan(route, &plan, context.map, s->federation != NULL, out);
        sy_route_explain(route, &plan, &words_out);
        assert_true(words_out.bytes > 0 && !words_out.failed);
        if (plan.kind == SY_PLAN_REFUSED && strcmp(sy_err_sqlstate(&plan.refusal), "0A000") == 0)
            assert_true(plan.refusal.hint[0] != '\0');
        sy_buf_release(&words_out);
        sy_arena_release(&arena);
        sy_route_free(&route);
    }
    sy_template_unref(w->parser, template_);
}

static void make_federation(struct world *w)
{
    uint32_t count = sy_schema_relation_count(w->schema);
    struct sy_federation_relation *relations =
        sy_arena_calloc(&w->arena, count, sizeof(*relations));
    assert_non_null(relations);
    w->federation[0] = (struct sy_federation){.ready = true, .relations = relations};
    w->federation[1] = (struct sy_federation){.why = "it is being built"};
    for (uint32_t i = 0; i < count; i++) {
        const struct sy_schema_relation *relation = sy_schema_relation(w->schema, i);
        if (!sy_slice_eq(relation->name, SY_SLICE("days")))
            relations[w->federation[0].relation_count++] =
                (struct sy_federation_relation){relation->schema, relation->name};
    }
    qsort(relations, w->federation[0].relation_count, sizeof(*relations), sy_federation_compare);
}

static void make_world(struct world *w)
{
    static struct sy_config_database single;
    single = world_database;
    single.shard_count = 1;
    single.keyspace_count = single.local_table_count = 0;
    *w = (struct world){0};
    w->map = world_map(&w->arena);
    assert_int_equal(sy_shardmap_build(&single, &w->arena, &w->single_map, NULL), SY_OK);
    w->schema = world_schema();
    make_federation(w);
    struct sy_parser_options options = {0};
    assert_int_equal(sy_parser_new(&options, &w->parser, NULL), SY_OK);
}

static void free_world(struct world *w)
{
    sy_parser_free(&w->parser);
    sy_schema_unref(&w->schema);
    sy_arena_release(&w->arena);
}

static void plans_every_case_as_written(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    bool print = getenv("SY_PLAN_PRINT") != NULL;
    FILE *file = fopen(SY_SOURCE_DIR "/tests/unit/router/plan/route_cases.txt", "r");
    assert_non_null(file);
    char line[4096], sql[4096] = "", settings_line[4096] = "", parameter_line[4096] = "";
    unsigned cases = 0, wrong = 0, number = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        bool expects = strncmp(line, "=> ", 3) == 0 || strcmp(line, "=>") == 0;
        if (print && !expects)
            printf("%s\n", line);
        if (line[0] == '@')
            strcpy(parameter_line, line + 2);
        else if (line[0] == '!')
            strcpy(settings_line, line + 2);
        else if (!expects && line[0] != '#' && line[0] != '\0')
            strcpy(sql, line);
        if (!expects)
            continue;
        struct settings s = {.path = {SY_SLICE("public")}, .path_count = 1, .zone = "UTC"};
        struct parameters p = {0};
        struct sy_buf out = {0};
        if (settings_line[0] != '\0')
            read_settings(settings_line, &s);
        if (parameter_line[0] != '\0')
            read_parameters(parameter_line, &p);
        plan_statement(&w, sql, &s, &p, &out);
        const char *expected = strlen(line) > 3 ? line + 3 : "";
        cases++;
        if (print)
            printf("=> %.*s\n", (int)out.bytes, out.data);
        else if (!sy_slice_eq(sy_slice_of(expected), (struct sy_slice){out.data, out.bytes})) {
            print_error("line %u: %s\n  expected %s\n  got      %.*s\n", number, sql, expected,
                        (int)out.bytes, out.data);
            wrong++;
        }
        settings_line[0] = parameter_line[0] = '\0';
        sy_buf_release(&out);
    }
    fclose(file);
    free_world(&w);
    assert_int_equal(wrong, 0);
    assert_true(print || cases >= 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_every_case_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
