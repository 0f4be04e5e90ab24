/* The console's language, rights and columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "router/console/internal.h"
#include "router/metrics/counters.h"
#include "router/wire/frame.h"
#include "router/wire/message.h"

static const struct sy_console_rights admin = {true, false}, stats = {false, true},
                                      nobody = {false, false};

struct parse_case {
    const char *sql;
    const struct sy_console_rights *rights;
    enum sy_status status;
    enum sy_console_action action;
    const char *argument; /* or a part of the error's text */
};

static const struct parse_case parse_cases[] = {
    {"", &nobody, SY_OK, SY_ACTION_NONE, ""},
    {" ; ", &nobody, SY_OK, SY_ACTION_NONE, ""},
    {"show pools;", &stats, SY_OK, SY_ACTION_NONE, ""},
    {"SHOW\n  Stats", &admin, SY_OK, SY_ACTION_NONE, ""},
    {"SHOW POOLS", &nobody, SY_E_PRIVILEGE, SY_ACTION_NONE, "permission denied for SHOW POOLS"},
    {"PAUSE", &stats, SY_E_PRIVILEGE, SY_ACTION_NONE, "permission denied for PAUSE"},
    {"pause blog", &admin, SY_OK, SY_ACTION_PAUSE, "blog"},
    {"PAUSE \"My Blog\";", &admin, SY_OK, SY_ACTION_PAUSE, "My Blog"},
    {"RESUME", &admin, SY_OK, SY_ACTION_RESUME, ""},
    {"KILL", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "KILL is written: KILL db"},
    {"KILL a b", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "KILL is written: KILL db"},
    {"RELOAD now", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "RELOAD is written: RELOAD"},
    {"KILL_CLIENT 0x1f", &admin, SY_OK, SY_ACTION_KILL_CLIENT, "0x1f"},
    {"KILL_CLIENT x", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "no client id"},
    {"SET a = 1", &admin, SY_E_UNSUPPORTED, SY_ACTION_NONE, "SET is not a command"},
    {"shard table t by id in k", &admin, SY_OK, SY_ACTION_DECLARE, ""},
    {"CREATE KEYSPACE k LIST (text) (s0 VALUES ('a;b')) FOR DATABASE blog;", &admin, SY_OK,
     SY_ACTION_DECLARE, "blog"},
    {"SHARD TABLE t", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "where BY should be"},
    {"SHARD TABLE t BY id IN k", &stats, SY_E_PRIVILEGE, SY_ACTION_NONE,
     "permission denied for SHARD TABLE"},
    {"SELECT 1", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "invalid command \"SELECT 1\""},
    {"SHOW POOLSX", &admin, SY_E_SYNTAX, SY_ACTION_NONE, "invalid command"},
};

static void reads_commands_and_checks_rights(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
        const struct parse_case *one = &parse_cases[i];
        struct sy_console_command command = {0};
        struct sy_err err = {0};
        enum sy_status status =
            sy_console_parse(sy_slice_of(one->sql), one->rights, &command, &err);
        if (status != one->status || command.action != one->action)
            fail_msg("%s: status %d, action %d: %s", one->sql, (int)status, (int)command.action,
                     err.text);
        if (status == SY_OK)
            assert_string_equal(command.argument, one->argument);
        else if (strstr(err.text, one->argument) == NULL)
            fail_msg("%s: %s", one->sql, err.text);
    }
}

static void every_command_but_show_needs_admin(void **state)
{
    (void)state;
    for (const struct sy_console_row *row = sy_console_rows; row->words != NULL; row++) {
        if (row->needs_admin == (strncmp(row->words, "SHOW ", 5) == 0))
            fail_msg("%s", row->words);
    }
}

/* As PgBouncer 1.18 answers; exporters read these names. */
static const struct {
    const char *command, *columns;
} pgbouncer_columns[] = {
    {"SHOW POOLS",
     "database|user|cl_active|cl_waiting|cl_active_cancel_req|cl_waiting_cancel_req|sv_active|"
     "sv_active_cancel|sv_being_canceled|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|"
     "pool_mode"},
    {"SHOW CLIENTS", "type|user|database|state|addr|port|local_addr|local_port|connect_time|"
                     "request_time|wait|wait_us|"
                     "close_needed|ptr|link|remote_pid|tls|application_name"},
    {"SHOW SERVERS", "type|user|database|state|addr|port|local_addr|local_port|connect_time|"
                     "request_time|wait|wait_us|"
                     "close_needed|ptr|link|remote_pid|tls|application_name"},
    {"SHOW STATS",
     "database|total_xact_count|total_query_count|total_received|total_sent|total_xact_time|"
     "total_query_time|total_wait_time|avg_xact_count|avg_query_count|avg_recv|avg_sent|avg_xact_"
     "time|"
     "avg_query_time|avg_wait_time"},
    {"SHOW DATABASES",
     "name|host|port|database|force_user|pool_size|min_pool_size|reserve_pool|pool_mode|"
     "max_connections|current_connections|paused|disabled"},
    {"SHOW CONFIG", "key|value|default|changeable"},
    {"SHOW LISTS", "list|items"},
    {"SHOW VERSION", "version"},
};

static void answers_pgbouncers_columns_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pgbouncer_columns) / sizeof(pgbouncer_columns[0]); i++) {
        struct sy_console_command command;
        struct sy_err err;
        char names[800] = "";
        assert_int_equal(
            sy_console_parse(sy_slice_of(pgbouncer_columns[i].command), &admin, &command, &err),
            SY_OK);
        for (const struct sy_console_column *column = command.row->columns; column->name != NULL;
             column++)
            snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
                     names[0] ? "|" : "", column->name);
        assert_memory_equal(names, pgbouncer_columns[i].columns,
                            strlen(pgbouncer_columns[i].columns));
    }
}

static struct sy_config *load_config(void)
{
    struct sy_config *config = NULL;
    struct sy_err err;
    assert_int_equal(sy_config_builtin(&config, &err), SY_OK);
    return config;
}

/* Each DataRow must have as many cells as RowDescription has columns. */
static void check_answer(const struct sy_buf *out, const char *label)
{
    struct sy_frame_walker walker = {0};
    struct sy_frame_part part;
    enum sy_status error = SY_OK;
    uint32_t offset = 0;
    int columns = -1;
    char last = 0;
    while (sy_frame_next(&walker, out->data, (uint32_t)out->bytes, &offset, &part, &error)) {
        struct sy_reader reader = sy_reader_of(part.body, part.body_run);
        assert_true(part.ends);
        last = part.type;
        if (part.type == 'T') {
            columns = sy_read_u16(&reader);
        } else if (part.type == 'D') {
            assert_int_equal(sy_read_u16(&reader), columns);
            for (int i = 0; i < columns; i++) {
                uint32_t bytes = sy_read_u32(&reader);
                if (bytes != UINT32_MAX)
                    sy_read_bytes(&reader, bytes);
            }
            if (!sy_reader_done(&reader))
                fail_msg("%s: a row has too few or too many cells", label);
        }
    }
    assert_int_equal(error, SY_OK);
    if (last != 'C')
        fail_msg("%s ends with %c", label, last);
}

static void every_show_writes_rows_as_wide_as_its_columns(void **state)
{
    (void)state;
    struct sy_config *config = load_config();
    struct sy_topology *topology = NULL;
    struct sy_err err;
    assert_int_equal(sy_topology_build(config, NULL, &topology, &err), SY_OK);
    struct sy_console_gathered gathered[2] = {{0}, {0}};
    for (int w = 0; w < 2; w++) {
        sy_gather_client(&gathered[w])->state = "active";
        sy_gather_server(&gathered[w])->state = "idle";
        sy_gather_pool(&gathered[w])->mode = "transaction";
    }
    struct sy_metrics_block *block = NULL;
    assert_int_equal(sy_metrics_block_new(0, &block, &err), SY_OK);
    sy_counter_add(&sy_metrics_database(block, "demo")->statements, 5);
    for (const struct sy_console_row *row = sy_console_rows; row->words != NULL; row++) {
        struct sy_console_command command;
        struct sy_buf out = {0};
        if (row->columns == NULL)
            continue;
        assert_int_equal(sy_console_parse(sy_slice_of(row->words), &admin, &command, &err), SY_OK);
        sy_console_answer(&command, topology, gathered, 2, &out);
        check_answer(&out, row->words);
        sy_buf_release(&out);
    }
    for (int w = 0; w < 2; w++)
        sy_gather_release(&gathered[w]);
    sy_topology_unref(&topology);
    sy_config_unref(&config);
    sy_metrics_release_all();
}

static void a_text_is_cut_into_commands(void **state)
{
    (void)state;
    static const struct {
        const char *text, *commands[4];
    } cases[] = {
        {"SHOW A", {"SHOW A"}},
        {" SHOW A ; SHOW B;", {"SHOW A ", "SHOW B"}},
        {";;PAUSE \"a;b\";; RESUME ", {"PAUSE \"a;b\"", "RESUME "}},
        {"", {""}},
        {" ;", {""}},
        {"KILL \"x;", {"KILL \"x;"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_slice rest = sy_slice_of(cases[i].text);
        for (size_t c = 0; cases[i].commands[c] != NULL; c++) {
            struct sy_slice wanted = sy_slice_of(cases[i].commands[c]);
            assert_true(sy_slice_eq(sy_console_cut(&rest), wanted));
        }
        assert_int_equal(rest.bytes, 0);
    }
}

static void pools_are_summed_over_workers(void **state)
{
    (void)state;
    struct sy_console_gathered gathered[2] = {{0}, {0}};
    struct sy_console_command command;
    struct sy_err err;
    struct sy_buf out = {0};
    for (int w = 0; w < 2; w++) {
        struct sy_console_pool *pool = sy_gather_pool(&gathered[w]);
        strcpy(pool->database, "blog");
        strcpy(pool->user, "app");
        pool->clients_active = 11;
        pool->mode = "transaction";
    }
    assert_int_equal(sy_console_parse(sy_slice_of("SHOW POOLS"), &admin, &command, &err), SY_OK);
    sy_console_answer(&command, NULL, gathered, 2, &out);
    assert_non_null(memmem(out.data, out.bytes,
                           "\0\0\0\3app\0\0\0\2"
                           "22",
                           13));
    sy_buf_release(&out);
    for (int w = 0; w < 2; w++)
        sy_gather_release(&gathered[w]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_commands_and_checks_rights),
        cmocka_unit_test(every_command_but_show_needs_admin),
        cmocka_unit_test(answers_pgbouncers_columns_first),
        cmocka_unit_test(a_text_is_cut_into_commands),
        cmocka_unit_test(pools_are_summed_over_workers),
        cmocka_unit_test(every_show_writes_rows_as_wide_as_its_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
