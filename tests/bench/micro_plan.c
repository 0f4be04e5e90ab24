/*
 * Nanoseconds of one evaluation of a cached route, for the statements that make up most of a site's
 * traffic. The bar is well under 300 ns for one key.
 */
#include <time.h>

#include "tests/unit/router/plan/world.h"

struct bench {
    const char *label, *sql;
    const char *parameters[2];
    uint32_t count;
    bool binary;
};

static const struct bench benches[] = {
    {"literal int8 key", "SELECT * FROM posts WHERE author_id = 6", {0}, 0, false},
    {"text parameter int8 key", "SELECT * FROM posts WHERE author_id = $1", {"123456"}, 1, false},
    {"binary parameter int8 key",
     "SELECT * FROM posts WHERE author_id = $1",
     {"\0\0\0\0\0\0\0\6"},
     1,
     true},
    {"text key", "SELECT * FROM nicknames WHERE name = $1", {"ann-of-green-gables"}, 1, false},
    {"uuid key",
     "SELECT * FROM accounts WHERE id = $1",
     {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
     1,
     false},
    {"range timestamptz key",
     "SELECT * FROM events WHERE at = $1",
     {"2026-03-01 10:00:00+00"},
     1,
     false},
    {"insert of one row",
     "INSERT INTO posts (author_id, title) VALUES ($1, $2)",
     {"6", "x"},
     2,
     false},
    {"join on the key",
     "SELECT * FROM posts p JOIN authors a ON a.id = p.author_id WHERE a.id = $1",
     {"6"},
     1,
     false},
    {"update by key", "UPDATE posts SET title = $1 WHERE author_id = $2", {"x", "6"}, 2, false},
    {"reference table", "SELECT * FROM sections WHERE id = $1", {"6"}, 1, false},
    {"all shards", "SELECT * FROM posts WHERE title = $1", {"x"}, 1, false},
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run(const struct bench *bench, struct sy_parser *parser,
                const struct sy_plan_context *context)
{
    enum { ROUNDS = 2000000 };
    struct sy_slice parameters[2] = {{0}};
    uint32_t types[2] = {0};
    uint16_t formats[2] = {0};
    struct sy_template *template_ = NULL;
    struct sy_scan scan = {0};
    struct sy_route *route = NULL;
    struct sy_arena arena = {0};
    struct sy_plan plan;
    struct sy_parse_settings settings = {.standard_conforming_strings = true};
    for (uint32_t i = 0; i < bench->count; i++)
        parameters[i] = bench->binary ? (struct sy_slice){bench->parameters[i], 8}
                                      : sy_slice_of(bench->parameters[i]);
    formats[0] = bench->binary;
    types[0] = bench->binary ? 20 : 0;
    if (sy_parser_parse(parser, sy_slice_of(bench->sql), &settings, &template_, &scan, NULL) !=
            SY_OK ||
        sy_route_prepare(&template_->facts->stmts[0], context, &route, NULL) != SY_OK)
        abort();
    struct sy_plan_values values = {.text = sy_slice_of(bench->sql),
                                    .scan = &scan,
                                    .parameters = parameters,
                                    .parameter_count = bench->count,
                                    .parameter_formats = formats,
                                    .parameter_format_count = bench->count,
                                    .parameter_types = types,
                                    .parameter_type_count = bench->count,
                                    .standard_conforming_strings = true,
                                    .key_context = {.time_zone = SY_SLICE("UTC")}};
    uint64_t sum = 0;
    double start = now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (sy_route_eval(route, &values, &scan.hints, &arena, &plan, NULL) != SY_OK)
            abort();
        sum += plan.shard;
    }
    printf("%-28s %7.1f ns  (shard %llu, %zu bytes allocated)\n", bench->label,
           (now_ns() - start) / ROUNDS, (unsigned long long)(sum / ROUNDS), arena.bytes_held);
    sy_arena_release(&arena);
    sy_route_free(&route);
    sy_template_unref(parser, template_);
}

int main(void)
{
    struct sy_arena arena = {0};
    struct sy_parser *parser = NULL;
    struct sy_parser_options options = {0};
    struct sy_slice path = SY_SLICE("public");
    if (sy_parser_new(&options, &parser, NULL) != SY_OK)
        return 1;
    const struct sy_schema *schema = world_schema();
    struct sy_plan_context context = {.map = world_map(&arena),
                                      .schema = schema,
                                      .database = &world_database,
                                      .search_path = &path,
                                      .search_path_count = 1};
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
        run(&benches[i], parser, &context);
    sy_parser_free(&parser);
    sy_schema_unref(&schema);
    sy_arena_release(&arena);
    return 0;
}
