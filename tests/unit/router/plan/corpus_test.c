/*
 * The corpus of tests/differential/keys: which shards are asked for each statement. A line is
 *
 *     statement | parameters | shards asked [| shards that matter, when those are fewer]
 *
 * and make.py there, which makes the file, has had a server confirm the shards that matter. A line
 * "! path=a,b tz=ZONE" is for the next statement. Parameters are parted by "; ": text, NULL, b:hex;
 * with /OID when their type is declared. With SY_CORPUS_PRINT the file is printed with the shards
 * found; what it has in their place is then the shards that matter. SY_CORPUS names another file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "parser/parser.h"
#include "router/plan/plan.h"

#define KEYS SY_SOURCE_DIR "/tests/differential/keys/"

enum { PARAMETERS_MAX = 8, LINE_BYTES = 4096, STATEMENTS_MIN = 1000 };

struct world {
    struct sy_config *config;
    const struct sy_config_database *database;
    struct sy_arena arena;
    const struct sy_shardmap *map;
    const struct sy_schema *schema;
    struct sy_parser *parser;
};

struct statement {
    char line[LINE_BYTES], settings[256];
    char parameter_words[LINE_BYTES];
    char *sql, *parameters, *asked, *matter; /* into line; matter may be NULL */
    struct sy_slice values[PARAMETERS_MAX], path[4];
    uint16_t formats[PARAMETERS_MAX];
    uint32_t types[PARAMETERS_MAX];
    uint32_t count, path_count;
    const char *zone;
    char bytes[LINE_BYTES];
};

/* ---- the world ---- */

static char *next_word(char **text, const char *separator)
{
    char *word = *text;
    char *end = word == NULL ? NULL : strstr(word, separator);
    if (end != NULL)
        *end = '\0';
    *text = end == NULL ? NULL : end + strlen(separator);
    return word;
}

static void read_schema(struct world *w)
{
    FILE *file = fopen(KEYS "schema.txt", "r");
    assert_non_null(file);
    struct sy_schema_builder *builder = sy_schema_builder_new();
    char line[512], last[256] = "", name[256];
    uint32_t relation = 0, oid = 16384;
    sy_schema_builder_add_namespace(builder, SY_SLICE("public"));
    sy_schema_builder_add_namespace(builder, SY_SLICE("app"));
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *at = line, *words[6];
        if (line[0] == '#')
            continue;
        for (int i = 0; i < 6; i++)
            words[i] = next_word(&at, "\t");
        snprintf(name, sizeof(name), "%s.%s", words[0], words[1]);
        if (strcmp(name, last) != 0) {
            struct sy_schema_relation made = {.schema = sy_slice_of(words[0]),
                                              .name = sy_slice_of(words[1]),
                                              .oid = oid++,
                                              .kind = SY_RELATION_TABLE};
            relation = sy_schema_builder_add_relation(builder, &made);
            snprintf(last, sizeof(last), "%s", name);
        }
        struct sy_schema_column column = {.name = sy_slice_of(words[2]),
                                          .type = sy_slice_of(words[3]),
                                          .type_oid = (uint32_t)strtoul(words[4], NULL, 10),
                                          .type_modifier = (int32_t)strtol(words[5], NULL, 10)};
        sy_schema_builder_add_column(builder, relation, &column);
    }
    fclose(file);
    static const char *const functions[] = {"count", "sum", "max",  "min",  "coalesce",
                                            "lower", "abs", "rank", "upper"};
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        sy_schema_builder_add_function(builder, SY_SLICE("pg_catalog"), sy_slice_of(functions[i]),
                                       SY_IMMUTABLE);
    assert_int_equal(sy_schema_builder_finish(&builder, &w->schema, NULL), SY_OK);
}

static void make_world(struct world *w)
{
    struct sy_err err = {0};
    *w = (struct world){0};
    struct sy_buf problems = {0};
    if (sy_config_load(KEYS "keys.conf", &w->config, &problems, &err) != SY_OK)
        fail_msg("%.*s", (int)problems.bytes, problems.data);
    sy_buf_release(&problems);
    w->database = &w->config->databases[0];
    assert_int_equal(sy_shardmap_build(w->database, &w->arena, &w->map, &err), SY_OK);
    read_schema(w);
    struct sy_parser_options options = {0};
    assert_int_equal(sy_parser_new(&options, &w->parser, &err), SY_OK);
}

static void free_world(struct world *w)
{
    sy_parser_free(&w->parser);
    sy_schema_unref(&w->schema);
    sy_arena_release(&w->arena);
    sy_config_unref(&w->config);
}

/* ---- a line ---- */

static void read_settings(struct statement *s)
{
    char *at = s->settings;
    for (char *word = next_word(&at, " "); word != NULL; word = next_word(&at, " ")) {
        if (strncmp(word, "tz=", 3) == 0)
            s->zone = word + 3;
        if (strncmp(word, "path=", 5) != 0)
            continue;
        char *path = word + 5;
        s->path_count = 0;
        for (char *name = next_word(&path, ","); name != NULL; name = next_word(&path, ","))
            s->path[s->path_count++] = sy_slice_of(name);
    }
}

static void read_parameter(struct statement *s, char *word, size_t *used)
{
    uint32_t at = s->count++;
    char *oid = strrchr(word, '/');
    if (oid != NULL && oid[1] >= '1' && oid[1] <= '9' &&
        strspn(oid + 1, "0123456789") == strlen(oid + 1)) {
        s->types[at] = (uint32_t)strtoul(oid + 1, NULL, 10);
        *oid = '\0';
    }
    if (strcmp(word, "NULL") == 0)
        return;
    s->values[at] = sy_slice_of(word);
    if (strncmp(word, "b:", 2) != 0)
        return;
    s->formats[at] = 1;
    s->values[at].data = s->bytes + *used;
    for (const char *hex = word + 2; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'};
        s->bytes[(*used)++] = (char)strtoul(pair, NULL, 16);
    }
    s->values[at].bytes = (size_t)(s->bytes + *used - s->values[at].data);
}

static void read_line(struct statement *s)
{
    char *at = s->line;
    s->sql = next_word(&at, " | ");
    s->parameters = next_word(&at, " | ");
    s->asked = next_word(&at, " | ");
    s->matter = at;
    assert_non_null(s->asked);
    s->path[0] = SY_SLICE("public");
    s->path_count = 1;
    s->zone = "UTC";
    s->count = 0;
    memset(s->values, 0, sizeof(s->values));
    memset(s->formats, 0, sizeof(s->formats));
    memset(s->types, 0, sizeof(s->types));
    read_settings(s);
    size_t used = 0;
    snprintf(s->parameter_words, sizeof(s->parameter_words), "%s", s->parameters);
    at = s->parameters[0] == '\0' ? NULL : s->parameter_words;
    for (char *word = next_word(&at, "; "); word != NULL; word = next_word(&at, "; "))
        read_parameter(s, word, &used);
}

/* ---- its shards ---- */

static void put_set(const struct world *w, const struct sy_shard_set *set, struct sy_buf *out)
{
    uint32_t count = sy_shard_set_count(set);
    if (count == 0)
        sy_buf_append_str(out, "none");
    else if (count == sy_shardmap_shard_count(w->map))
        sy_buf_append_str(out, "all");
    else
        for (uint32_t i = 0, put = 0; i < sy_shardmap_shard_count(w->map); i++)
            if (sy_shard_set_has(set, i))
                sy_buf_printf(out, "%ss%u", put++ > 0 ? " " : "", i);
}

/* A statement that is refused over several shards still says where its rows are. */
static void put_shards(const struct world *w, const struct sy_route *route,
                       const struct sy_plan_values *values, const struct sy_plan *plan,
                       struct sy_buf *out)
{
    struct sy_arena arena = {0};
    struct sy_shard_set set;
    if (plan->kind == SY_PLAN_ANY)
        sy_buf_append_str(out, "any");
    else if (plan->kind == SY_PLAN_ROUTER)
        sy_buf_append_str(out, "router");
    else if (sy_route_matter(route, values, &arena, &set)) {
        struct sy_shard_set both = sy_shard_set_and(&set, &plan->shards);
        bool answered = plan->kind == SY_PLAN_SINGLE || plan->kind == SY_PLAN_CONCAT ||
                        plan->kind == SY_PLAN_MERGE;
        if (answered && memcmp(&both, &set, sizeof(set)) != 0)
            sy_buf_append_str(out, "PLAN LEAVES OUT ");
        put_set(w, &set, out);
    } else if (plan->kind == SY_PLAN_REFUSED)
        sy_buf_printf(out, "refused %s", sy_err_sqlstate(&plan->refusal));
    else
        put_set(w, &plan->shards, out);
    sy_arena_release(&arena);
}

static void find_shards(struct world *w, const struct statement *s, struct sy_buf *out)
{
    struct sy_err err = {0};
    struct sy_template *template_ = NULL;
    struct sy_scan scan = {0};
    struct sy_parse_settings parse = {.standard_conforming_strings = true};
    struct sy_slice text = sy_slice_of(s->sql);
    if (sy_parser_parse(w->parser, text, &parse, &template_, &scan, &err) != SY_OK) {
        sy_buf_append_str(out, "syntax error");
        return;
    }
    struct sy_plan_context context = {.map = w->map,
                                      .schema = w->schema,
                                      .database = w->database,
                                      .search_path = s->path,
                                      .search_path_count = s->path_count};
    struct sy_plan_values values = {
        .text = text,
        .scan = &scan,
        .parameters = s->values,
        .parameter_count = s->count,
        .parameter_formats = s->formats,
        .parameter_format_count = s->count,
        .parameter_types = s->types,
        .parameter_type_count = s->count,
        .key_context = {.time_zone = sy_slice_of(s->zone), .date_style = SY_SLICE("ISO, MDY")},
        .standard_conforming_strings = true};
    struct sy_route *route = NULL;
    struct sy_plan plan;
    struct sy_arena arena = {0};
    assert_int_equal(sy_route_prepare(&template_->facts->stmts[0], &context, &route, &err), SY_OK);
    assert_int_equal(sy_route_eval(route, &values, NULL, &arena, &plan, &err), SY_OK);
    put_shards(w, route, &values, &plan, out);
    sy_arena_release(&arena);
    sy_route_free(&route);
    sy_template_unref(w->parser, template_);
}

/* Every shard of `few` is one of `many`. */
static bool contains(const char *many, const char *few)
{
    if (strcmp(many, "all") == 0 || strcmp(few, "none") == 0 || strcmp(few, "?") == 0 ||
        strncmp(many, "refused", 7) == 0)
        return true;
    char copy[512], *at = copy;
    snprintf(copy, sizeof(copy), "%s", few);
    for (char *word = next_word(&at, " "); word != NULL; word = next_word(&at, " ")) {
        const char *found = strstr(many, word);
        size_t bytes = strlen(word);
        while (found != NULL && found[bytes] != ' ' && found[bytes] != '\0')
            found = strstr(found + 1, word);
        if (found == NULL)
            return false;
    }
    return true;
}

static bool check(struct world *w, struct statement *s, unsigned number, bool print)
{
    struct sy_buf found = {0};
    find_shards(w, s, &found);
    sy_buf_append(&found, "", 1);
    const char *matter = s->matter != NULL ? s->matter : s->asked;
    bool covers = contains(found.data, matter);
    bool fine = covers && (print || strcmp(found.data, s->asked) == 0);
    if (!fine)
        print_error("line %u: %s | %s\n  %s %s, not %s\n", number, s->sql, s->parameters,
                    covers ? "asks" : "WRONG: asks", found.data, covers ? s->asked : matter);
    if (print && strcmp(matter, found.data) == 0)
        printf("%s | %s | %s\n", s->sql, s->parameters, found.data);
    else if (print && strcmp(matter, "?") == 0)
        printf("%s | %s | %s | ?\n", s->sql, s->parameters, found.data);
    else if (print)
        printf("%s | %s | %s | %s\n", s->sql, s->parameters, found.data, matter);
    sy_buf_release(&found);
    return fine;
}

static void asks_the_shards_that_matter(void **state)
{
    (void)state;
    struct world w;
    static struct statement s;
    make_world(&w);
    bool print = getenv("SY_CORPUS_PRINT") != NULL;
    const char *other = getenv("SY_CORPUS");
    FILE *file = fopen(other != NULL ? other : KEYS "corpus.txt", "r");
    assert_non_null(file);
    unsigned statements = 0, wrong = 0, number = 0;
    while (fgets(s.line, sizeof(s.line), file) != NULL) {
        number++;
        s.line[strcspn(s.line, "\n")] = '\0';
        if (print && (s.line[0] == '#' || s.line[0] == '!'))
            printf("%s\n", s.line);
        if (s.line[0] == '!')
            snprintf(s.settings, sizeof(s.settings), "%.200s", s.line + 2);
        if (s.line[0] == '#' || s.line[0] == '!')
            continue;
        read_line(&s);
        statements++;
        wrong += !check(&w, &s, number, print);
        s.settings[0] = '\0';
    }
    fclose(file);
    free_world(&w);
    assert_int_equal(wrong, 0);
    assert_true(other != NULL || statements >= STATEMENTS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(asks_the_shards_that_matter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
