/* The commands that only read: config check, config reference, explain, version; and serve's
 * options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/serve.h"
#include "config/config.h"
#include "parser/parser.h"
#include "router/plan/combine.h"
#include "router/plan/fresh.h"
#include "router/plan/plan.h"
#include "router/session/ids.h"
#include "router/topology/topology.h"

static void complain(const struct sy_err *err)
{
    fprintf(stderr, "switchyard: %s\n", err->text);
    if (err->detail[0] != '\0')
        fprintf(stderr, "  %s\n", err->detail);
    if (err->hint[0] != '\0')
        fprintf(stderr, "  %s\n", err->hint);
}

/* Loads, lists every problem on standard error, and builds the snapshot: shard maps and conninfo
 * are checked there. */
static struct sy_topology *load(const char *path, struct sy_err *err)
{
    struct sy_buf problems = {0};
    struct sy_config *config = NULL;
    struct sy_topology *topology = NULL;
    enum sy_status status = path != NULL ? sy_config_load(path, &config, &problems, err)
                                         : sy_config_builtin(&config, err);
    if (problems.bytes > 0)
        fwrite(problems.data, 1, problems.bytes, stderr);
    sy_buf_release(&problems);
    if (status == SY_OK)
        status = sy_topology_build(config, NULL, &topology, err);
    sy_config_unref(&config);
    return status == SY_OK ? topology : NULL;
}

int sy_command_config_check(const struct sy_arguments *arguments)
{
    struct sy_err err = {0};
    struct sy_topology *topology = load(arguments->operand[0], &err);
    if (topology == NULL) {
        complain(&err);
        return SY_EXIT_FAILED;
    }
    printf("%s: %u database%s, no problem\n", arguments->operand[0], topology->database_count,
           topology->database_count == 1 ? "" : "s");
    sy_topology_unref(&topology);
    return SY_EXIT_OK;
}

int sy_command_config_reference(const struct sy_arguments *arguments)
{
    (void)arguments;
    struct sy_buf out = {0};
    sy_config_write_reference(&out);
    bool written = !out.failed && fwrite(out.data, 1, out.bytes, stdout) == out.bytes;
    sy_buf_release(&out);
    return written ? SY_EXIT_OK : SY_EXIT_FAILED;
}

int sy_command_version(const struct sy_arguments *arguments)
{
    (void)arguments;
    puts("switchyard " SY_VERSION);
    return SY_EXIT_OK;
}

/* ---- explain ---- */

static const struct sy_topology_database *choose_database(const struct sy_topology *topology,
                                                          const char *name, struct sy_err *err)
{
    if (name != NULL) {
        const struct sy_topology_database *found = sy_topology_find(topology, sy_slice_of(name));
        if (found == NULL)
            sy_err_set(err, SY_E_NO_DATABASE, "the configuration has no database \"%s\"", name);
        return found;
    }
    if (topology->database_count == 1)
        return &topology->databases[0];
    sy_err_set(err, SY_E_NO_DATABASE, "the configuration has %u databases; name one with -d",
               topology->database_count);
    return NULL;
}

static enum sy_status explain_statement(const struct sy_topology_database *database,
                                        const struct sy_stmt *stmt, struct sy_slice text,
                                        const struct sy_scan *scan, struct sy_buf *out,
                                        struct sy_err *err)
{
    static const struct sy_slice search_path[] = {{"public", 6}};
    static const struct sy_federation assumed = {.ready = true, .assumed = true};
    const struct sy_plan_context context = {
        .federation = database->federation.node_count == 0 ? NULL : &assumed,
        .map = database->map,
        .schema = database->schema,
        .database = database->config,
        .search_path = search_path,
        .search_path_count = 1};
    const struct sy_plan_values values = {
        .text = text,
        .scan = scan,
        .key_context = {.time_zone = SY_SLICE("UTC"), .date_style = SY_SLICE("ISO, MDY")},
        .standard_conforming_strings = true};
    struct sy_route *route = NULL;
    struct sy_arena arena = {0};
    struct sy_plan plan = {0};
    enum sy_status status = sy_route_prepare(stmt, &context, &route, err);
    if (status == SY_OK)
        status = sy_route_eval(route, &values, &scan->hints, &arena, &plan, err);
    if (status == SY_OK)
        sy_route_explain_text(
            route, &plan,
            (struct sy_slice){text.data + stmt->text_from, stmt->text_to - stmt->text_from}, &arena,
            out);
    sy_route_free(&route);
    sy_arena_release(&arena);
    return status;
}

static enum sy_status explain(const struct sy_topology_database *database, struct sy_slice text,
                              struct sy_buf *out, struct sy_err *err);

static int64_t next_id(void *ctx)
{
    const struct sy_clock *clock = sy_clock_real();
    return sy_id_next(ctx, clock->wall_us(clock));
}

/* As it would go now: its key may be a new id. */
static enum sy_status explain_fresh(const struct sy_topology_database *database,
                                    struct sy_slice text, struct sy_buf *out, struct sy_err *err)
{
    struct sy_id_source ids = {.node = 0};
    const struct sy_fresh_source source = {next_id, &ids};
    struct sy_arena arena = {0};
    struct sy_slice fresh;
    enum sy_status status = sy_fresh_text(text, &source, &arena, &fresh, err);
    if (status == SY_OK)
        status = explain(database, fresh, out, err);
    sy_arena_release(&arena);
    return status;
}

static enum sy_status explain(const struct sy_topology_database *database, struct sy_slice text,
                              struct sy_buf *out, struct sy_err *err)
{
    const struct sy_parse_settings settings = {.standard_conforming_strings = true,
                                               .hints_enabled = database->config->hints};
    const struct sy_parser_options options = {0};
    struct sy_parser *parser = NULL;
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    enum sy_status status = sy_parser_new(&options, &parser, err);
    if (status == SY_OK)
        status = sy_parser_parse(parser, text, &settings, &template_, &scan, err);
    const struct sy_facts *facts = status == SY_OK ? template_->facts : NULL;
    bool fresh = facts != NULL && facts->stmt_count == 1 && sy_stmt_makes_ids(&facts->stmts[0]);
    if (fresh)
        status = explain_fresh(database, text, out, err);
    int32_t count = facts == NULL || fresh ? 0 : facts->stmt_count;
    for (int32_t i = 0; status == SY_OK && i < count; i++) {
        const struct sy_stmt *stmt = &facts->stmts[i];
        if (stmt->kind == SY_STMT_EXPLAIN && stmt->explain_route && stmt->inner != NULL)
            stmt = stmt->inner;
        status = explain_statement(database, stmt, text, &scan, out, err);
    }
    if (template_ != NULL)
        sy_template_unref(parser, template_);
    sy_parser_free(&parser);
    return status;
}

int sy_command_explain(const struct sy_arguments *arguments)
{
    struct sy_err err = {0};
    struct sy_buf out = {0};
    struct sy_topology *topology = load(arguments->value[0], &err);
    const struct sy_topology_database *database =
        topology != NULL ? choose_database(topology, arguments->value[1], &err) : NULL;
    bool done = database != NULL &&
                explain(database, sy_slice_of(arguments->operand[0]), &out, &err) == SY_OK;
    if (done)
        fwrite(out.data, 1, out.bytes, stdout);
    else
        complain(&err);
    if (!done && err.position > 0)
        fprintf(stderr, "  at character %d\n", err.position);
    sy_buf_release(&out);
    sy_topology_unref(&topology);
    return done ? SY_EXIT_OK : SY_EXIT_FAILED;
}

/* ---- serve ---- */

static bool read_number(const char *text, const char *what, int64_t least, int64_t most,
                        int64_t *ret)
{
    struct sy_err err;
    if (text == NULL || sy_number_parse_i64(sy_slice_of(text), least, most, ret, &err) == SY_OK)
        return true;
    fprintf(stderr, "switchyard serve: %s: %s\n", what, err.text);
    return false;
}

int sy_command_serve(const struct sy_arguments *arguments)
{
    int64_t port = 0, workers = -1;
    if (!read_number(arguments->value[1], "--port", 1, UINT16_MAX, &port) ||
        !read_number(arguments->value[4], "--workers", 0, 256, &workers))
        return SY_EXIT_USAGE;
    const struct sy_serve_options options = {.config_path = arguments->value[0],
                                             .port = (uint16_t)port,
                                             .data_dir = arguments->value[2],
                                             .loop = arguments->value[3],
                                             .workers = (int)workers};
    return sy_serve(&options);
}
