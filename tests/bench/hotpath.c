/* See hotpath.h. Whatever fails here is a mistake of the benchmark, so it aborts. */
#include "tests/bench/hotpath.h"

#include <stdlib.h>

static struct sy_config_shard shards[] = {{.name = "s0"}, {.name = "s1"}};
static struct sy_config_keyspace_table tables[] = {
    {"public", "pgbench_accounts", "aid", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace keyspaces[] = {{.name = "accounts",
                                                 .strategy = SY_STRATEGY_HASH,
                                                 .type = SY_KEY_INT4,
                                                 .tables = tables,
                                                 .table_count = 1}};
static struct sy_config_database database = {.name = "bench",
                                             .engine = SY_ENGINE_POSTGRES,
                                             .hints = true,
                                             .shards = shards,
                                             .shard_count = 2,
                                             .keyspaces = keyspaces,
                                             .keyspace_count = 1};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static const struct sy_schema *make_schema(void)
{
    static const char *const names[] = {"aid", "bid", "abalance", "filler"};
    struct sy_schema_builder *builder = sy_schema_builder_new();
    struct sy_schema_relation accounts = {.schema = SY_SLICE("public"),
                                          .name = SY_SLICE("pgbench_accounts"),
                                          .oid = 16384,
                                          .kind = SY_RELATION_TABLE};
    sy_schema_builder_add_namespace(builder, SY_SLICE("public"));
    uint32_t at = sy_schema_builder_add_relation(builder, &accounts);
    for (int i = 0; i < 4; i++) {
        struct sy_schema_column column = {.name = sy_slice_of(names[i]),
                                          .type_modifier = -1,
                                          .type = i < 3 ? SY_SLICE("int4") : SY_SLICE("bpchar"),
                                          .type_oid = i < 3 ? 23 : 1042};
        sy_schema_builder_add_column(builder, at, &column);
    }
    const struct sy_schema *schema = NULL;
    must(sy_schema_builder_finish(&builder, &schema, NULL) == SY_OK);
    return schema;
}

static struct sy_template *make_route(struct hot *hot, struct sy_slice text, struct sy_scan *scan,
                                      struct sy_route **ret_route)
{
    struct sy_template *template = NULL;
    must(sy_parser_parse(hot->parser, text, &hot->settings, &template, scan, NULL) == SY_OK);
    must(sy_route_prepare(&template->facts->stmts[0], &hot->context, ret_route, NULL) == SY_OK);
    template->plan = *ret_route;
    return template;
}

static void make_requests(struct hot *hot)
{
    const struct sy_slice value = SY_SLICE("123456");
    const struct sy_slice prepared_name = SY_SLICE("P_0"), none = SY_SLICE("");
    struct sy_bind_values bind = {
        .portal = none, .statement = none, .parameters = &value, .parameter_count = 1};
    sy_write_query(&hot->simple, SY_SLICE(HOT_SELECT));
    sy_write_parse(&hot->extended, none, SY_SLICE(HOT_SELECT_PARAMETER), NULL, 0);
    sy_write_bind(&hot->extended, &bind);
    sy_write_describe(&hot->extended, 'P', none);
    sy_write_execute(&hot->extended, none, 0);
    sy_write_simple(&hot->extended, 'S');
    bind.statement = prepared_name;
    sy_write_bind(&hot->bound, &bind);
    sy_write_describe(&hot->bound, 'P', none);
    sy_write_execute(&hot->bound, none, 0);
    sy_write_simple(&hot->bound, 'S');
    must(!hot->simple.failed && !hot->extended.failed && !hot->bound.failed);
}

static void make_rows(struct sy_buf *out)
{
    const struct sy_slice value = SY_SLICE("-1234");
    struct sy_column_desc column = {.name = SY_SLICE("abalance"),
                                    .table_oid = 16384,
                                    .attribute = 3,
                                    .type_oid = 23,
                                    .type_size = 4,
                                    .type_modifier = -1};
    sy_write_row_description(out, &column, 1);
    sy_write_data_row(out, &value, 1);
    sy_write_command_complete(out, "SELECT 1");
    sy_write_ready(out, 'I');
    must(!out->failed);
}

void hot_init(struct hot *hot)
{
    struct sy_parser_options options = {0};
    struct sy_scan scan;
    *hot = (struct hot){.settings = {.standard_conforming_strings = true, .hints_enabled = true},
                        .search_path = SY_SLICE("public")};
    const struct sy_shardmap *map = NULL;
    must(sy_shardmap_build(&database, &hot->arena, &map, NULL) == SY_OK);
    must(sy_parser_new(&options, &hot->parser, NULL) == SY_OK);
    hot->schema = make_schema();
    hot->context = (struct sy_plan_context){.map = map,
                                            .schema = hot->schema,
                                            .database = &database,
                                            .search_path = &hot->search_path,
                                            .search_path_count = 1};
    hot->prepared =
        make_route(hot, SY_SLICE(HOT_SELECT_PARAMETER), &hot->prepared_scan, &hot->parameter_route);
    sy_template_unref(hot->parser,
                      make_route(hot, SY_SLICE(HOT_SELECT), &scan, &hot->literal_route));
    make_requests(hot);
    sy_write_simple(&hot->extended_reply, '1');
    sy_write_simple(&hot->extended_reply, '2');
    sy_write_simple(&hot->bound_reply, '2');
    make_rows(&hot->simple_reply);
    make_rows(&hot->extended_reply);
    make_rows(&hot->bound_reply);
}

void hot_release(struct hot *hot)
{
    sy_template_unref(hot->parser, hot->prepared);
    sy_parser_free(&hot->parser);
    sy_route_free(&hot->literal_route);
    sy_route_free(&hot->parameter_route);
    sy_schema_unref(&hot->schema);
    sy_scanner_release(&hot->scanner);
    struct sy_buf *const buffers[] = {&hot->simple,       &hot->extended,       &hot->bound,
                                      &hot->simple_reply, &hot->extended_reply, &hot->bound_reply};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        sy_buf_release(buffers[i]);
    sy_arena_release(&hot->statement);
    sy_arena_release(&hot->arena);
}

static uint32_t evaluate(struct hot *hot, const struct sy_route *route,
                         const struct sy_plan_values *values)
{
    struct sy_plan plan;
    must(sy_route_eval(route, values, &values->scan->hints, &hot->statement, &plan, NULL) ==
             SY_OK &&
         plan.kind == SY_PLAN_SINGLE);
    return plan.shard;
}

static void walk_reply(const struct sy_buf *reply)
{
    struct sy_frame_walker walker = {0};
    struct sy_frame_part part;
    enum sy_status status = SY_OK;
    uint32_t offset = 0;
    char transaction = 0;
    while (sy_frame_next(&walker, reply->data, (uint32_t)reply->bytes, &offset, &part, &status))
        if (part.type == 'Z')
            must(sy_ready_read(part.body, part.body_run, &transaction, NULL) == SY_OK);
    must(status == SY_OK && transaction == 'I');
}

static uint32_t route_text(struct hot *hot, struct sy_slice text, const struct sy_bind_msg *bind)
{
    struct sy_template *template;
    struct sy_scan scan;
    struct sy_slice parameter;
    must(sy_parser_parse(hot->parser, text, &hot->settings, &template, &scan, NULL) == SY_OK);
    struct sy_plan_values values = {.text = text,
                                    .scan = &scan,
                                    .standard_conforming_strings = true,
                                    .key_context = {.time_zone = SY_SLICE("UTC")}};
    if (bind != NULL) {
        sy_bind_parameters(bind, &parameter);
        values.parameters = &parameter;
        values.parameter_count = 1;
    }
    uint32_t shard = evaluate(hot, template->plan, &values);
    sy_template_unref(hot->parser, template);
    return shard;
}

uint32_t hot_simple(struct hot *hot)
{
    struct sy_frame_walker walker = {0};
    struct sy_frame_part part;
    struct sy_slice text;
    enum sy_status status = SY_OK;
    uint32_t offset = 0, shard = 0;
    while (sy_frame_next(&walker, hot->simple.data, (uint32_t)hot->simple.bytes, &offset, &part,
                         &status)) {
        must(sy_string_read(part.body, part.body_run, &text, NULL) == SY_OK);
        shard = route_text(hot, text, NULL);
    }
    sy_arena_reset(&hot->statement);
    walk_reply(&hot->simple_reply);
    return shard;
}

static uint32_t read_batch(struct hot *hot, const struct sy_buf *request)
{
    struct sy_frame_walker walker = {0};
    struct sy_frame_part part;
    struct sy_parse_msg parse = {.query = SY_SLICE(HOT_SELECT_PARAMETER)};
    struct sy_bind_msg bind;
    struct sy_describe_msg describe;
    struct sy_execute_msg execute;
    struct sy_slice parameter;
    enum sy_status status = SY_OK;
    uint32_t offset = 0, shard = 0;
    while (
        sy_frame_next(&walker, request->data, (uint32_t)request->bytes, &offset, &part, &status)) {
        if (part.type == 'P') {
            must(sy_parse_read(part.body, part.body_run, &parse, NULL) == SY_OK);
        } else if (part.type == 'B') {
            must(sy_bind_read(part.body, part.body_run, &bind, NULL) == SY_OK);
            if (bind.statement.bytes == 0) {
                shard = route_text(hot, parse.query, &bind);
                continue;
            }
            sy_bind_parameters(&bind, &parameter);
            struct sy_plan_values values = {.text = parse.query,
                                            .scan = &hot->prepared_scan,
                                            .parameters = &parameter,
                                            .parameter_count = 1,
                                            .standard_conforming_strings = true,
                                            .key_context = {.time_zone = SY_SLICE("UTC")}};
            shard = evaluate(hot, hot->parameter_route, &values);
        } else if (part.type == 'D') {
            must(sy_describe_read(part.body, part.body_run, &describe, NULL) == SY_OK);
        } else if (part.type == 'E') {
            must(sy_execute_read(part.body, part.body_run, &execute, NULL) == SY_OK);
        }
    }
    sy_arena_reset(&hot->statement);
    return shard;
}

uint32_t hot_extended(struct hot *hot)
{
    uint32_t shard = read_batch(hot, &hot->extended);
    walk_reply(&hot->extended_reply);
    return shard;
}

uint32_t hot_prepared(struct hot *hot)
{
    uint32_t shard = read_batch(hot, &hot->bound);
    walk_reply(&hot->bound_reply);
    return shard;
}
