/*
 * COPY FROM STDIN in the extended protocol: every message is answered as PostgreSQL answers it,
 * whether the rows go to the shards of their keys, to all shards or to one, on both loops. The same
 * scripts are played to the router and to PostgreSQL, and everything that comes back is compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

enum { PATIENCE_MS = 30000, STEPS_MAX = 24 };

/* ---- scripts ---- */

/*
 * A step is a letter and what belongs to it; '$' in a statement is the table.
 *   P sql, p sql   Parse, unnamed or named "s"          B, b   Bind: unnamed, or portal "p" of "s"
 *   D, d           Describe portal, statement "s"       E, e   Execute: unnamed, portal "p"
 *   + data, * v    CopyData; in binary, a whole file of the rows (1, 1, v) and (2, 2, 2)
 *   c, f reason    CopyDone, CopyFail                   H, S   Flush, Sync
 *   Q sql          a simple query                       ? X    waits for a message of this type
 *   ! X            an empty message of this type
 */
static const char *const scripts[][STEPS_MAX] = {
    /* as libpq does it: Sync behind Execute, and one more behind CopyDone */
    {"Pcopy $ from stdin", "B", "D", "E", "S", "?G", "+1\t1\t1\n2\t2\t2\n", "+3\t3\t3\n", "c", "S"},
    /* nothing is waited for */
    {"Pcopy $ from stdin", "B", "D", "E", "+1\t1\t1\n2\t", "+2\t2\n3\t3\t3\n", "c", "S"},
    {"Pcopy $ from stdin", "B", "E", "c", "S"},
    {"Pcopy $ from stdin", "B", "E", "S", "H", "S", "+1\t1\t1\n", "H", "S", "+2\t2\t2\n", "c", "S"},
    {"Pcopy $ from stdin", "B", "E", "?G", "+1\t1\t1\n2\t2\t2\n", "c", "H", "?C", "S"},
    {"pcopy $ from stdin", "d", "H", "?n", "b", "D", "e", "+1\t1\t1\n4\t4\t4\n", "c", "S"},
    {"pcopy $(v, k, id) from stdin with (format csv, header)", "b", "D", "e", "+v,k,id\n5,1,6\n",
     "+7,2,8\n", "c", "S", "b", "e", "+v,k,id\n9,8,10\n", "c", "S"},
    {"Pcopy $ from stdin with (format binary)", "B", "E", "*1", "c", "S"},
    {"Pcopy $ from stdin with (format binary)", "B", "E", "*0", "c", "S"},
    /* the client gives up */
    {"Pcopy $ from stdin", "B", "E", "S", "?G", "+1\t1\t1\n2\t2\t2\n", "fchanged my mind", "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n", "f", "Pselect 5", "B", "E", "S", "Qselect 6"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n", "fno", "+2\t2\t2\n", "c", "S", "+x\n", "c", "f"},
    /* a server refuses a row, or ours does */
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\tbad\n", "c", "Pselect 5", "B", "E", "S"},
    {"Pcopy $ from stdin", "B", "E", "S", "?G", "+2\t2\t0\n", "+1\t1\t1\n", "c", "S"},
    {"Pcopy $ from stdin", "B", "E", "S", "?G", "+1\tbad\t1\n", "?E", "+1\t1\t1\n", "c", "H", "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\tbad\t1\n", "c", "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\n", "c", "Pselect 5", "B", "E", "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1", "c", "S"},
    {"Pcopy $ from stdin with (format binary)", "B", "E", "+rubbish that is long enough", "c", "S"},
    /* what is no part of a COPY */
    {"Pcopy $ from stdin", "B", "E", "?G", "+1\t1\t1\n", "Qselect 5"},
    {"Pcopy $ from stdin", "B", "E", "?G", "Pselect 5"},
    {"Pcopy $ from stdin", "B", "E", "S", "?G", "!p"},
    /* refused before it asks for data */
    {"Pcopy $(id, k, nosuch) from stdin", "B", "E", "S", "c", "S"},
    {"pcopy $ from stdin", "b", "e", "S", "+1\t1\t1\n2\t2\t2\n", "c", "e", "S"},
    {"Qbegin read only", "Pcopy $ from stdin", "B", "E", "S", "+1\t1\t1\n", "c", "S", "Qrollback"},
    {"Pcopy $ from stdin", "B", "E", "c", "E", "Pselect 5", "B", "E", "S"},
    /* what is refused at once is told behind what came before */
    {"Pselect 1/0 from $", "B", "E", "S"},
    {"Pinsert into $ values (1, 1, 1), (2, 2, 2)", "B", "E", "Qinsert into $ values (3, 3, 3)"},
    /* blocks */
    {"Qbegin", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "S", "Qcommit"},
    {"Qbegin", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "S", "Qrollback"},
    {"Qbegin", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\tx\n", "c", "S", "Qselect 1",
     "Qcommit"},
    {"Qbegin", "Pcopy $ from stdin", "B", "E", "+1\tx\t1\n", "c", "S", "Qselect 1", "Qcommit"},
    {"Qbegin", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n", "fno", "S", "Qselect 1", "Qrollback"},
    {"Qbegin", "Qsavepoint a", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t0\n", "c", "S",
     "Qrollback to a", "Pcopy $ from stdin", "B", "E", "+3\t3\t3\n4\t4\t4\n", "c", "S", "Qcommit"},
    {"Pbegin", "B", "E", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "Pcommit", "B",
     "E", "S"},
    /* up to Sync it is one transaction */
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "pcopy $ from stdin", "b", "e",
     "+3\t3\t3\n4\t4\t4\n", "c", "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "Pselect 1/0 from $", "B", "E",
     "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "Pselect count(*) from $", "B",
     "D", "E", "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "pcopy $ from stdin", "b", "e",
     "+3\t3\t3\n4\t4\tx\n", "c", "S"},
    {"Pinsert into $ values (1, 1, 1), (2, 2, 2)", "B", "E", "Pcopy $ from stdin", "B", "E",
     "+3\t3\t3\n4\t4\t4\n", "c", "S"},
    {"Pinsert into $ values (1, 1, 1), (2, 2, 2)", "B", "E", "Pcopy $ from stdin", "B", "E",
     "+3\t3\t3\n4\t4\t0\n", "c", "S"},
    {"Pselect k from $ where id = 7", "B", "E", "Pcopy $ from stdin", "B", "E", "+1\t1\t1\n", "c",
     "S"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "Qinsert into $ values (3, 3, 3)"},
    {"Pcopy $ from stdin", "B", "E", "+1\t1\t1\n2\t2\t2\n", "c", "Qselect 1/0"},
};

static void put_binary_row(struct sy_buf *out, uint32_t number, uint32_t v)
{
    sy_buf_append_u16(out, 3);
    sy_buf_append_u32(out, 4);
    sy_buf_append_u32(out, number);
    sy_buf_append_u32(out, 8);
    sy_buf_append_u32(out, 0);
    sy_buf_append_u32(out, number);
    sy_buf_append_u32(out, 4);
    sy_buf_append_u32(out, v);
}

static void send_binary(struct raw *raw, uint32_t v)
{
    struct sy_buf out = {0};
    sy_buf_append(&out, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    put_binary_row(&out, 1, v);
    put_binary_row(&out, 2, 2);
    sy_buf_append_u16(&out, 0xffff);
    raw_message(raw, 'd', out.data, out.bytes);
    sy_buf_release(&out);
}

static void parse(struct raw *raw, const char *name, const char *sql)
{
    struct sy_buf body = {0};
    sy_buf_append(&body, name, strlen(name) + 1);
    sy_buf_append(&body, sql, strlen(sql) + 1);
    sy_buf_append_u16(&body, 0);
    raw_message(raw, 'P', body.data, body.bytes);
    sy_buf_release(&body);
}

/* The statement with the table in the place of '$'; in a static buffer. */
static const char *about(const char *sql, const char *table)
{
    static char text[256];
    const char *at = strchr(sql, '$');
    if (at == NULL)
        return sql;
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - sql), sql, table, at + 1);
    return text;
}

static void take_step(struct raw *raw, const char *step, const char *table)
{
    const char *rest = step + 1;
    switch (*step) {
    case 'P':
    case 'p':
        parse(raw, *step == 'p' ? "s" : "", about(rest, table));
        break;
    case 'B':
        raw_message(raw, 'B', "\0\0\0\0\0\0\0\0", 8);
        break;
    case 'b':
        raw_message(raw, 'B', "p\0s\0\0\0\0\0\0\0", 10);
        break;
    case 'D':
        raw_message(raw, 'D', "P\0", 2);
        break;
    case 'd':
        raw_message(raw, 'D', "Ss\0", 3);
        break;
    case 'E':
        raw_message(raw, 'E', "\0\0\0\0\0", 5);
        break;
    case 'e':
        raw_message(raw, 'E', "p\0\0\0\0\0", 6);
        break;
    case '+':
        raw_message(raw, 'd', rest, strlen(rest));
        break;
    case '*':
        send_binary(raw, *rest == '1');
        break;
    case 'f':
        raw_message(raw, 'f', rest, strlen(rest) + 1);
        break;
    case 'Q':
        raw_query(raw, about(rest, table));
        break;
    case '!':
        raw_message(raw, *rest, "", 0);
        break;
    default:
        raw_message(raw, *step, "", 0);
        break;
    }
}

/* ---- what comes back ---- */

static void tell_error(const char *body, struct sy_buf *out)
{
    for (const char *at = body; *at != 0; at += strlen(at) + 1)
        if (strchr("VCM", *at) != NULL)
            sy_buf_printf(out, "%s, ", at);
}

static void tell_row(const char *body, struct sy_buf *out)
{
    uint16_t count;
    memcpy(&count, body, 2);
    body += 2;
    for (uint16_t i = 0; i < ntohs(count); i++) {
        uint32_t bytes;
        memcpy(&bytes, body, 4);
        bytes = ntohl(bytes);
        sy_buf_printf(out, "%.*s ", (int)bytes, body + 4);
        body += 4 + bytes;
    }
}

/* Every message but notices and settings, one a line. */
static void tell(struct raw *raw, struct sy_buf *out)
{
    const char *at = raw->received.data, *end = at + raw->received.bytes;
    while (at != NULL && end - at >= 5) {
        uint32_t length;
        memcpy(&length, at + 1, 4);
        length = ntohl(length);
        const char *body = at + 5;
        if (*at != 'N' && *at != 'S') {
            sy_buf_printf(out, "%c ", *at);
            if (*at == 'E')
                tell_error(body, out);
            else if (*at == 'D')
                tell_row(body, out);
            else if (*at == 'C')
                sy_buf_append_str(out, body);
            else if (*at == 'Z')
                sy_buf_append_u8(out, (uint8_t)*body);
            else if (*at == 'G')
                for (uint32_t i = 0; i < length - 4; i++)
                    sy_buf_printf(out, "%02x", (unsigned)(uint8_t)body[i]);
            sy_buf_append_u8(out, '\n');
        }
        at += 1 + length;
    }
    sy_buf_append_u8(out, 0);
}

static void play(uint16_t port, const char *const *script, const char *table, struct sy_buf *out)
{
    struct raw raw = {.fd = -1};
    assert_true(raw_login(&raw, port, "postgres", "app"));
    for (int i = 0; i < STEPS_MAX && script[i] != NULL; i++) {
        if (script[i][0] != '?')
            take_step(&raw, script[i], table);
        else if (!raw_read(&raw, script[i][1], PATIENCE_MS))
            break; /* what there is will differ */
    }
    raw_message(&raw, 'X', "", 0);
    bool ended = !raw_read(&raw, 0, PATIENCE_MS) && raw.closed;
    tell(&raw, out);
    raw_close(&raw);
    if (!ended)
        fail_msg("no end:\n%s", out->data);
    /* What is there now, and nothing left for the next script. */
    assert_true(raw_login(&raw, port, "postgres", "app"));
    raw_query(&raw, about("select id, k, v from $ order by id", table));
    raw_query(&raw, about("delete from $", table));
    raw_message(&raw, 'X', "", 0);
    (void)raw_read(&raw, 0, PATIENCE_MS);
    out->bytes--; /* the zero */
    tell(&raw, out);
    raw_close(&raw);
}

static void print_script(const char *const *script)
{
    for (int i = 0; i < STEPS_MAX && script[i] != NULL; i++)
        print_message("  %s\n", script[i]);
}

static void copies_into(void **state)
{
    const char *table = *state;
    unsigned different = 0;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct sy_buf routed = {0}, direct = {0};
        play((uint16_t)sy_cluster_port(cluster, 0), scripts[i], table, &direct);
        play(sy_router_port(router), scripts[i], table, &routed);
        if (strcmp(routed.data, direct.data) != 0) {
            print_script(scripts[i]);
            print_message("router:\n%s\nPostgreSQL:\n%s\n", routed.data, direct.data);
            different++;
        }
        sy_buf_release(&routed);
        sy_buf_release(&direct);
    }
    assert_int_equal(different, 0);
}

/* ---- what PostgreSQL has no words for ---- */

/* A key of no shard, in the middle of the data: nothing stays, and the batch is over. */
static void a_key_of_no_shard_ends_the_batch(void **state)
{
    (void)state;
    static const char *const script[STEPS_MAX] = {"Pcopy $ from stdin",
                                                  "B",
                                                  "E",
                                                  "+1\t1\t1\n2\t99\t1\n",
                                                  "+2\t2\t2\n",
                                                  "c",
                                                  "Pselect 5",
                                                  "B",
                                                  "E",
                                                  "S",
                                                  "Qbegin",
                                                  "Pcopy $ from stdin",
                                                  "B",
                                                  "E",
                                                  "+1\t99\t1\n",
                                                  "c",
                                                  "S",
                                                  "Qcommit"};
    struct sy_buf out = {0};
    play(sy_router_port(router), script, "spread", &out);
    assert_string_equal(
        out.data, "1 \n2 \nG 000003000000000000\n"
                  "E VERROR, C23514, Mno partition of relation \"spread\" found for row, \nZ I\n"
                  "C BEGIN\nZ T\n1 \n2 \nG 000003000000000000\n"
                  "E VERROR, C23514, Mno partition of relation \"spread\" found for row, \nZ E\n"
                  "C ROLLBACK\nZ I\nT \nC SELECT 0\nZ I\nC DELETE 0\nZ I\n");
    sy_buf_release(&out);
}

/* Servers look names up at Execute, the router at Bind: it may have been another table then. */
static void a_copy_bound_under_another_search_path_is_refused(void **state)
{
    static const char *const script[STEPS_MAX] = {"pcopy $ from stdin",
                                                  "b",
                                                  "Pset search_path = public, pg_catalog",
                                                  "B",
                                                  "E",
                                                  "e",
                                                  "+1\t1\t1\n",
                                                  "c",
                                                  "S"};
    struct sy_buf out = {0};
    play(sy_router_port(router), script, *state, &out);
    assert_string_equal(out.data,
                        "1 \n2 \n1 \n2 \nC SET\n"
                        "E VERROR, C0A000, MCOPY on a sharded database is not supported when "
                        "search_path or the temporary tables changed behind its Bind, \nZ I\n"
                        "T \nC SELECT 0\nZ I\nC DELETE 0\nZ I\n");
    sy_buf_release(&out);
}

/* More data than any buffer holds, in one go. */
static void much_data_arrives(void **state)
{
    (void)state;
    enum { ROWS = 300000 };
    PGconn *c = sy_router_connect(router, "app", NULL);
    PGresult *result = PQexecParams(c, "copy spread from stdin", 0, NULL, NULL, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    char row[64];
    for (int i = 0; i < ROWS; i++) {
        int bytes = snprintf(row, sizeof(row), "%d\t%d\t1\n", i, i % 8 + 1);
        assert_int_equal(PQputCopyData(c, row, bytes), 1);
    }
    assert_int_equal(PQputCopyEnd(c, NULL), 1);
    result = PQgetResult(c);
    assert_string_equal(PQcmdStatus(result), "COPY 300000");
    PQclear(result);
    assert_null(PQgetResult(c));
    assert_string_equal(sy_ask(c, "select count(*) from spread where k = 3"), "37500");
    assert_string_equal(sy_run(c, "delete from spread"), "DELETE 300000");
    PQfinish(c);
}

/* ---- the shards ---- */

static const char *databases(void)
{
    static char text[2048];
    unsigned port = sy_cluster_port(cluster, 0);
    snprintf(text, sizeof(text),
             "{ name = \"app\"; engine = \"postgres\"; pool = { size = 4; };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s0 user=postgres\"; } ); },\n"
             "             { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s1 user=postgres\"; } ); } );\n"
             "  keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\";\n"
             "     lists = ( { values = [\"1\", \"3\", \"5\", \"7\"]; shard = \"s0\"; }, { values "
             "= [\"2\", \"4\", \"6\", \"8\"]; shard = \"s1\"; } );\n"
             "     tables = ( { name = \"spread\"; key = \"k\"; } ); } );\n"
             "  reference_tables = [ \"everywhere\" ];\n"
             "  local_tables = ( { name = \"single\"; shard = \"s1\"; } ); } );",
             port, port);
    return text;
}

int main(void)
{
    static const char *const names[] = {"app", "s0", "s1"};
    static const char *const loops[] = {"io_uring", "epoll"};
    const struct CMUnitTest tests[] = {
        {.name = "spread", .test_func = copies_into, .initial_state = "spread"},
        {.name = "everywhere", .test_func = copies_into, .initial_state = "everywhere"},
        {.name = "single", .test_func = copies_into, .initial_state = "single"},
        cmocka_unit_test(a_key_of_no_shard_ends_the_batch),
        {.name = "spread under another search_path",
         .test_func = a_copy_bound_under_another_search_path_is_refused,
         .initial_state = "spread"},
        {.name = "single under another search_path",
         .test_func = a_copy_bound_under_another_search_path_is_refused,
         .initial_state = "single"},
        cmocka_unit_test(much_data_arrives),
    };
    cluster = sy_cluster_start(
        &(struct sy_cluster_options){.name = "copies", .conf = "max_prepared_transactions = 10\n"});
    for (int i = 0; i < 3; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "create database %s", names[i]);
        sy_cluster_sql(cluster, 0, "postgres", sql);
        sy_cluster_sql(cluster, 0, names[i],
                       "create table spread(id int, k bigint, v int check (v > 0));"
                       "create table everywhere(id int, k bigint, v int check (v > 0));"
                       "create table single(id int, k bigint, v int check (v > 0))");
    }
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        print_message("%s\n", loops[i]);
        router = sy_router_start(databases(), NULL, loops[i]);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
        failed += sy_router_stop(&router, SIGTERM) != 0;
    }
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
