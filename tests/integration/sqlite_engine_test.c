/*
 * Promise: the embedded engine answers as PostgreSQL does: both protocols, transactions and their
 * errors, COPY, cursors, prepared statements, settings, notifications, locks and limits, and what
 * psql asks of the catalog.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "router/engine/sqlite/sqlite.h"
#include "tests/harness/process.h"
#include "tests/harness/sqlite_server.h"

static struct sy_sqlite_server *server;
static char folder[] = "/tmp/sy-sqlite-XXXXXX";
static PGconn *first, *second;

static PGconn *connect_to(uint32_t node)
{
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=app dbname=demo",
             sy_sqlite_server_port(server, node));
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("connect: %s", PQerrorMessage(conn));
    return conn;
}

/* Runs a query and returns its first value (static memory), its tag when it has no rows, or its
 * SQLSTATE. */
static const char *ask(PGconn *conn, const char *sql)
{
    static char answers[8][512];
    static unsigned turn;
    char *answer = answers[turn++ % 8];
    PGresult *result = PQexec(conn, sql);
    switch ((int)PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        snprintf(answer, 512, "%s",
                 PQntuples(result) == 0      ? "(none)"
                 : PQgetisnull(result, 0, 0) ? "(null)"
                                             : PQgetvalue(result, 0, 0));
        break;
    case PGRES_COMMAND_OK:
        snprintf(answer, 512, "%s", PQcmdStatus(result));
        break;
    default:
        snprintf(answer, 512, "%s",
                 PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL
                     ? PQerrorMessage(conn)
                     : PQresultErrorField(result, PG_DIAG_SQLSTATE));
        break;
    }
    PQclear(result);
    return answer;
}

static int set_up(void **state)
{
    (void)state;
    char file[64];
    struct sy_err err = {0};
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/s0.db", folder);
    const struct sy_sqlite_server_options options = {.file = file, .replicas = 1};
    if (sy_sqlite_server_start(&options, &server, &err) != SY_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    first = connect_to(0);
    second = connect_to(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    PQfinish(first);
    PQfinish(second);
    sy_sqlite_server_stop(&server);
    sy_sqlite_stop();
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static int new_tables(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "drop table if exists child; drop table if exists t"),
                        "DROP TABLE");
    assert_string_equal(
        ask(first, "create table t (id int primary key, name text not null, n int check (n >= 0))"),
        "CREATE TABLE");
    assert_string_equal(
        ask(first, "create table child (id int primary key, t_id int references t (id))"),
        "CREATE TABLE");
    assert_string_equal(
        ask(first, "insert into t values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)"),
        "INSERT 0 3");
    return 0;
}

struct step {
    const char *sql, *answer;
};

static void expect(PGconn *conn, const struct step *steps)
{
    for (; steps->sql != NULL; steps++) {
        const char *answer = ask(conn, steps->sql);
        if (strcmp(answer, steps->answer) != 0)
            fail_msg("%s\n  gives %s, expected %s", steps->sql, answer, steps->answer);
    }
}

static void simple_statements_have_postgresqls_tags_and_errors(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"select 1", "1"},
        {"select name from t where id = 2", "two"},
        {"update t set n = n + 1 where id < 3", "UPDATE 2"},
        {"delete from t where id = 3", "DELETE 1"},
        {"insert into t values (1, 'again', 0)", "23505"},
        {"insert into t (id) values (9)", "23502"},
        {"insert into t values (9, 'x', -1)", "23514"},
        {"insert into child values (1, 77)", "23503"},
        {"select * from nowhere", "42P01"},
        {"select nothing from t", "42703"},
        {"selekt", "42601"},
        {"select corr(n, id) from t", "0A000"},
        {"select corr(n, name) from t", "42883"},
        {"set role none", "SET"},
        {"reset role", "RESET"},
        {"set role postgres", "0A000"},
        {"set extra_float_digits = 3", "SET"},
        {"set extra_float_digits = 0", "0A000"},
        {"reset extra_float_digits", "RESET"},
        {"insert into t values (4, 'four', 4) returning id", "4"},
        {"select count(*) from t", "3"},
        {"select name from t where id = 77", "(none)"},
        {"", ""},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void a_subselect_of_values_is_called_column1(void **state)
{
    (void)state;
    PGresult *result = PQexec(first, "select (values (1)), (values (2)) as x");
    assert_string_equal(PQfname(result, 0), "column1");
    assert_string_equal(PQfname(result, 1), "x");
    PQclear(result);
}

static void transactions_begin_fail_and_end_as_on_postgresql(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"begin", "BEGIN"},
        {"insert into t values (10, 'ten', 10)", "INSERT 0 1"},
        {"savepoint a", "SAVEPOINT"},
        {"insert into t values (10, 'again', 10)", "23505"},
        {"select 1", "25P02"},
        {"rollback to a", "ROLLBACK"},
        {"select count(*) from t", "4"},
        {"insert into t values (11, 'eleven', 11)", "INSERT 0 1"},
        {"release a", "RELEASE"},
        {"commit", "COMMIT"},
        {"select count(*) from t", "5"},
        {"begin", "BEGIN"},
        {"delete from t", "DELETE 5"},
        {"rollback", "ROLLBACK"},
        {"select count(*) from t", "5"},
        {"begin", "BEGIN"},
        {"select 1 from nowhere", "42P01"},
        {"commit", "ROLLBACK"},
        {"savepoint b", "25P01"},
        {"rollback to b", "25P01"},
        {"commit", "COMMIT"},
        {"begin read only", "BEGIN"},
        {"insert into t values (12, 'x', 1)", "25006"},
        {"rollback", "ROLLBACK"},
        {"insert into t values (20, 'a', 1); insert into t values (20, 'b', 1)", "23505"},
        {"select count(*) from t where id = 20", "0"},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void a_reader_does_not_see_what_is_not_committed(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "begin"), "BEGIN");
    assert_string_equal(ask(first, "update t set name = 'changed' where id = 1"), "UPDATE 1");
    assert_string_equal(ask(second, "select name from t where id = 1"), "one");
    assert_string_equal(ask(first, "select name from t where id = 1"), "changed");
    assert_string_equal(ask(first, "commit"), "COMMIT");
    assert_string_equal(ask(second, "select name from t where id = 1"), "changed");
}

static void a_repeatable_read_that_writes_after_a_commit_is_refused(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "begin isolation level repeatable read"), "BEGIN");
    assert_string_equal(ask(first, "select name from t where id = 1"), "one");
    assert_string_equal(ask(second, "update t set name = 'other' where id = 1"), "UPDATE 1");
    assert_string_equal(ask(first, "select name from t where id = 1"), "one");
    assert_string_equal(ask(first, "update t set name = 'mine' where id = 1"), "40001");
    assert_string_equal(ask(first, "rollback"), "ROLLBACK");
    assert_string_equal(ask(first, "begin isolation level repeatable read"), "BEGIN");
    assert_string_equal(ask(first, "select name from t where id = 1"), "other");
    assert_string_equal(ask(first, "update t set name = 'mine' where id = 1"), "UPDATE 1");
    assert_string_equal(ask(first, "commit"), "COMMIT");
}

static void a_waiting_writer_gives_up_after_its_lock_timeout(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "begin"), "BEGIN");
    assert_string_equal(ask(first, "update t set n = 5 where id = 1"), "UPDATE 1");
    assert_string_equal(ask(second, "set lock_timeout = '50ms'"), "SET");
    assert_string_equal(ask(second, "update t set n = 6 where id = 1"), "55P03");
    assert_string_equal(ask(second, "begin; update t set n = 6 where id = 1"), "55P03");
    assert_string_equal(ask(second, "rollback"), "ROLLBACK");
    assert_string_equal(ask(first, "commit"), "COMMIT");
    assert_string_equal(ask(second, "update t set n = 6 where id = 1"), "UPDATE 1");
    assert_string_equal(ask(second, "reset lock_timeout"), "RESET");
}

static void an_idle_transaction_that_holds_the_writer_is_ended(void **state)
{
    (void)state;
    PGconn *idle = connect_to(0);
    assert_string_equal(ask(idle, "set idle_in_transaction_session_timeout = '100ms'"), "SET");
    assert_string_equal(ask(idle, "begin; update t set n = 7 where id = 1"), "UPDATE 1");
    assert_string_equal(ask(first, "update t set n = 8 where id = 1"), "UPDATE 1");
    assert_string_equal(ask(first, "select n from t where id = 1"), "8");
    assert_non_null(strstr(ask(idle, "select 1"), "idle-in-transaction timeout"));
    assert_int_equal(PQstatus(idle), CONNECTION_BAD);
    PQfinish(idle);
}

/* Until so many sessions wait for what is named so. */
static void wait_for_waiters(const char *what, const char *count)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "select count(*) from pg_stat_activity where wait_event = '%s'",
             what);
    for (int i = 0; i < 6000; i++) {
        if (strcmp(ask(first, sql), count) == 0)
            return;
        sy_pause_ms(10);
    }
    fail_msg("not %s wait for %s", count, what);
}

static void a_deadlock_has_one_victim(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "begin; update t set n = 1 where id = 1"), "UPDATE 1");
    assert_string_equal(ask(second, "begin; select pg_advisory_xact_lock(7)"), "");
    assert_int_equal(PQsendQuery(second, "update t set n = 2 where id = 2"), 1);
    wait_for_waiters("writer", "1");
    assert_string_equal(ask(first, "select pg_advisory_xact_lock(7)"), "40P01");
    assert_string_equal(ask(first, "rollback"), "ROLLBACK");
    PGresult *result = PQgetResult(second);
    assert_string_equal(PQcmdStatus(result), "UPDATE 1");
    PQclear(result);
    assert_null(PQgetResult(second));
    assert_string_equal(ask(second, "commit"), "COMMIT");
}

static void an_advisory_lock_waits_for_its_holder(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "select pg_advisory_lock(5)"), "");
    assert_string_equal(ask(second, "select pg_try_advisory_lock(5)"), "f");
    assert_int_equal(PQsendQuery(second, "select pg_advisory_lock(5)"), 1);
    wait_for_waiters("advisory", "1");
    assert_string_equal(ask(first, "select pg_advisory_unlock(5)"), "t");
    PGresult *result = PQgetResult(second);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    assert_null(PQgetResult(second));
    assert_string_equal(ask(second, "select pg_advisory_unlock(5)"), "t");
}

static void is_cancelled(const char *slow)
{
    char problem[256];
    assert_int_equal(PQsendQuery(first, slow), 1);
    PGcancel *cancel = PQgetCancel(first);
    struct pollfd polled = {.fd = PQsocket(first), .events = POLLIN};
    do /* again if it came before the statement */
        assert_int_equal(PQcancel(cancel, problem, sizeof(problem)), 1);
    while (poll(&polled, 1, 1000) == 0);
    PQfreeCancel(cancel);
    PGresult *result = PQgetResult(first);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57014");
    PQclear(result);
    assert_null(PQgetResult(first));
    assert_string_equal(ask(first, "set statement_timeout = '50ms'"), "SET");
    assert_string_equal(ask(first, slow), "57014");
    assert_string_equal(ask(first, "reset statement_timeout"), "RESET");
    assert_string_equal(ask(first, "select 1"), "1");
}

static void a_statement_is_cancelled(void **state)
{
    (void)state;
    is_cancelled("with recursive r(i) as (select 1 union all select i + 1 from r where i < "
                 "100000000) select count(*) from r");
    is_cancelled("select pg_sleep(100000)");
    assert_string_equal(ask(first, "select pg_sleep(null) is null"), "t");
}

static void prepared_statements_work_in_both_protocols(void **state)
{
    (void)state;
    const Oid types[] = {23};
    const char *values[] = {"2"};
    PGresult *result = PQprepare(first, "by_id", "select id, name from t where id = $1", 1, types);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    result = PQdescribePrepared(first, "by_id");
    assert_int_equal(PQnparams(result), 1);
    assert_int_equal(PQparamtype(result, 0), 23);
    assert_int_equal(PQftype(result, 1), 25);
    PQclear(result);
    for (int format = 0; format < 2; format++) {
        result = PQexecPrepared(first, "by_id", 1, values, NULL, NULL, format);
        assert_string_equal(PQgetvalue(result, 0, 1), "two");
        if (format == 1)
            assert_memory_equal(PQgetvalue(result, 0, 0), "\0\0\0\2", 4);
        PQclear(result);
    }
    static const struct step steps[] = {
        {"prepare q (int) as select name from t where id = $1", "PREPARE"},
        {"execute q (3)", "three"},
        {"execute q (1 + 1)", "two"},
        {"execute q", "42601"},
        {"alter table t add column extra int", "ALTER TABLE"},
        {"execute q (1)", "one"},
        {"deallocate q", "DEALLOCATE"},
        {"execute q (1)", "26000"},
        {NULL, NULL},
    };
    expect(first, steps);
    result = PQexecPrepared(first, "by_id", 1, values, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(result, 0, 1), "two");
    PQclear(result);
    assert_string_equal(ask(first, "deallocate all"), "DEALLOCATE ALL");
}

static void a_pipeline_is_one_transaction_until_its_sync(void **state)
{
    (void)state;
    assert_int_equal(PQenterPipelineMode(first), 1);
    assert_int_equal(
        PQsendQueryParams(first, "insert into t values (30, 'x', 1)", 0, NULL, NULL, NULL, NULL, 0),
        1);
    assert_int_equal(PQsendQueryParams(first, "insert into t values (1, 'dup', 1)", 0, NULL, NULL,
                                       NULL, NULL, 0),
                     1);
    assert_int_equal(
        PQsendQueryParams(first, "insert into t values (31, 'y', 1)", 0, NULL, NULL, NULL, NULL, 0),
        1);
    assert_int_equal(PQpipelineSync(first), 1);
    ExecStatusType expected[] = {PGRES_COMMAND_OK, PGRES_FATAL_ERROR, PGRES_PIPELINE_ABORTED};
    for (int i = 0; i < 3; i++) {
        PGresult *result = PQgetResult(first);
        assert_int_equal(PQresultStatus(result), expected[i]);
        PQclear(result);
        assert_null(PQgetResult(first));
    }
    PGresult *sync = PQgetResult(first);
    assert_int_equal(PQresultStatus(sync), PGRES_PIPELINE_SYNC);
    PQclear(sync);
    assert_int_equal(PQexitPipelineMode(first), 1);
    assert_string_equal(ask(first, "select count(*) from t where id >= 30"), "0");
}

static void copy_in(PGconn *conn, const char *sql, const char *data, const char *expected)
{
    static int calls; /* both protocols take their turn */
    PGresult *result = calls++ % 2 == 0 ? PQexec(conn, sql)
                                        : PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    /* A byte at a time: rows are cut anywhere. */
    for (size_t i = 0; data[i] != '\0'; i++)
        assert_int_equal(PQputCopyData(conn, data + i, 1), 1);
    assert_int_equal(PQputCopyEnd(conn, NULL), 1);
    result = PQgetResult(conn);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    assert_string_equal(sqlstate != NULL ? sqlstate : PQcmdStatus(result), expected);
    PQclear(result);
    assert_null(PQgetResult(conn));
}

static void copy_out(PGconn *conn, const char *sql, const char *expected)
{
    char got[1024] = "", *row = NULL;
    PGresult *result = PQexec(conn, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COPY_OUT);
    PQclear(result);
    while (PQgetCopyData(conn, &row, 0) > 0) {
        strncat(got, row, sizeof(got) - strlen(got) - 1);
        PQfreemem(row);
    }
    result = PQgetResult(conn);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    assert_null(PQgetResult(conn));
    assert_string_equal(got, expected);
}

static void copy_goes_both_ways_in_text_and_csv(void **state)
{
    (void)state;
    copy_in(first, "copy t from stdin", "40\ta\\tb\\nc\t\\N\n41\tplain\t5\n", "COPY 2");
    copy_out(first, "copy (select * from t where id >= 40 order by id) to stdout",
             "40\ta\\tb\\nc\t\\N\n41\tplain\t5\n");
    copy_in(first, "copy t (id, name) from stdin with (format csv, header)",
            "id,name\r\n42,\"with, comma \"\"and quotes\"\" and\nnewline\"\r\n43,plain\r\n",
            "COPY 2");
    copy_out(first,
             "copy (select id, name, n from t where id >= 42 order by id) to stdout with (format "
             "csv, header)",
             "id,name,n\n42,\"with, comma \"\"and quotes\"\" and\nnewline\",\n43,plain,\n");
    copy_in(first, "copy t from stdin", "44\tx\n", "22P04");
    copy_in(first, "copy t from stdin", "44\tx\t1\t2\n", "22P04");
    copy_in(first, "copy t from stdin", "45\tx\tabc\n", "22P02");
    copy_in(first, "copy t from stdin", "46\tx\t1\n1\tdup\t1\n", "23505");
    assert_string_equal(ask(first, "select count(*) from t where id > 43"), "0");
    assert_string_equal(ask(first, "copy t from '/etc/passwd'"), "42501");
}

static void copy_binary_comes_back_as_it_went(void **state)
{
    (void)state;
    char data[4096];
    size_t bytes = 0;
    char *piece = NULL;
    PGresult *result = PQexec(first, "copy t to stdout with (format binary)");
    assert_int_equal(PQresultStatus(result), PGRES_COPY_OUT);
    PQclear(result);
    for (int got; (got = PQgetCopyData(first, &piece, 0)) > 0; bytes += (size_t)got) {
        assert_true(bytes + (size_t)got < sizeof(data));
        memcpy(data + bytes, piece, (size_t)got);
        PQfreemem(piece);
    }
    PQclear(PQgetResult(first));
    assert_null(PQgetResult(first));
    assert_string_equal(ask(first, "delete from t"), "DELETE 3");
    result = PQexec(first, "copy t from stdin with (format binary)");
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    assert_int_equal(PQputCopyData(first, data, (int)bytes), 1);
    assert_int_equal(PQputCopyEnd(first, NULL), 1);
    result = PQgetResult(first);
    assert_string_equal(PQcmdStatus(result), "COPY 3");
    PQclear(result);
    assert_null(PQgetResult(first));
    assert_string_equal(ask(first, "select name from t where id = 3"), "three");
}

static void a_violation_names_constraint_and_key(void **state)
{
    (void)state;
    PGresult *result = PQexec(first, "insert into t values (7, 'x', 1), (2, 'y', 1)");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
                        "duplicate key value violates unique constraint \"t_pkey\"");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL),
                        "Key (id)=(2) already exists.");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME), "t_pkey");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_TABLE_NAME), "t");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SCHEMA_NAME), "public");
    PQclear(result);
    assert_string_equal(ask(first, "select count(*) from t"), "3");
}

static void a_foreign_key_violation_names_key_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *message, *detail;
    } cases[] = {
        {"insert into fk_child values (1, 1, 1, 'x'), (2, 9, 1, 'x')",
         "insert or update on table \"fk_child\" violates foreign key constraint "
         "\"fk_child_t_id_fkey\"",
         "Key (t_id)=(9) is not present in table \"t\"."},
        {"insert into fk_child values (1, 1, 7, 'y')",
         "insert or update on table \"fk_child\" violates foreign key constraint "
         "\"fk_child_a_Code_fkey\"",
         "Key (a, \"Code\")=(7, y) is not present in table \"fk_pair\"."},
        {"update fk_child set t_id = 8",
         "insert or update on table \"fk_child\" violates foreign key constraint "
         "\"fk_child_t_id_fkey\"",
         "Key (t_id)=(8) is not present in table \"t\"."},
        {"delete from t where id = 2",
         "update or delete on table \"t\" violates foreign key constraint \"fk_child_t_id_fkey\" "
         "on table \"fk_child\"",
         "Key (id)=(2) is still referenced from table \"fk_child\"."},
        {"update t set id = id + 10",
         "update or delete on table \"t\" violates foreign key constraint \"fk_child_t_id_fkey\" "
         "on table \"fk_child\"",
         "Key (id)=(2) is still referenced from table \"fk_child\"."},
        {"insert into fk_late values (1, 99)",
         "insert or update on table \"fk_late\" violates foreign key constraint "
         "\"fk_late_t_id_fkey\"",
         "Key (t_id)=(99) is not present in table \"t\"."},
    };
    PQclear(PQexec(
        first, "drop table if exists fk_child; drop table if exists fk_pair; drop table if exists "
               "fk_late; create table fk_pair (a int, code text, primary key (a, code)); "
               "create table fk_child (id int primary key, t_id int references t (id), a int, "
               "\"Code\" text, foreign key (a, \"Code\") references fk_pair (a, code));"
               "create table fk_late (id int primary key, t_id int references t (id) deferrable "
               "initially deferred)"));
    assert_string_equal(ask(first, "insert into fk_pair values (1, 'x')"), "INSERT 0 1");
    assert_string_equal(ask(first, "insert into fk_child values (5, 2, 1, 'x')"), "INSERT 0 1");
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        /* Alone in the group commit, then in a block. */
        if (i % 2 == 1)
            PQclear(PQexec(first, "begin"));
        PGresult *result = PQexec(first, cases[i / 2].sql);
        if (PQresultStatus(result) == PGRES_COMMAND_OK) {
            PQclear(result);
            result = PQexec(first, "commit");
        }
        assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "23503");
        assert_string_equal(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
                            cases[i / 2].message);
        assert_string_equal(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL),
                            cases[i / 2].detail);
        PQclear(result);
        PQclear(PQexec(first, "rollback"));
    }
    assert_string_equal(ask(first, "select count(*) from fk_child"), "1");
    assert_string_equal(ask(first, "drop table fk_child; drop table fk_pair; drop table fk_late"),
                        "DROP TABLE");
}

/* What psql prints for a command, or what it complains. */
static void psql(const char *command, char *out, size_t bytes)
{
    char line[512];
    snprintf(line, sizeof(line), "psql -X -h 127.0.0.1 -p %u -U app -d demo -c '%s' 2>&1",
             sy_sqlite_server_port(server, 0), command);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t got = fread(out, 1, bytes - 1, pipe);
    out[got] = '\0';
    pclose(pipe);
}

static void psql_describes_tables_as_on_postgresql(void **state)
{
    (void)state;
    /* As PostgreSQL 15 prints them for the same statements. */
    static const struct step commands[] = {
        {"\\d child", "               Table \"public.child\"\n"
                      " Column |  Type   | Collation | Nullable | Default \n"
                      "--------+---------+-----------+----------+---------\n"
                      " id     | integer |           | not null | \n"
                      " t_id   | integer |           |          | \n"
                      "Indexes:\n"
                      "    \"child_pkey\" PRIMARY KEY, btree (id)\n"
                      "Foreign-key constraints:\n"
                      "    \"child_t_id_fkey\" FOREIGN KEY (t_id) REFERENCES t(id)\n\n"},
        {"\\d t", "                 Table \"public.t\"\n"
                  " Column |  Type   | Collation | Nullable | Default \n"
                  "--------+---------+-----------+----------+---------\n"
                  " id     | integer |           | not null | \n"
                  " name   | text    |           | not null | \n"
                  " n      | integer |           |          | \n"
                  "Indexes:\n"
                  "    \"t_pkey\" PRIMARY KEY, btree (id)\n"
                  "Check constraints:\n"
                  "    \"t_n_check\" CHECK (n >= 0)\n"
                  "Referenced by:\n"
                  "    TABLE \"child\" CONSTRAINT \"child_t_id_fkey\" FOREIGN KEY (t_id) "
                  "REFERENCES t(id)\n\n"},
        {"\\dt", "       List of relations\n Schema | Name  | Type  | Owner "
                 "\n--------+-------+-------+-------\n"
                 " public | child | table | app\n public | t     | table | app\n(2 rows)\n\n"},
        {NULL, NULL},
    };
    char out[4096];
    for (const struct step *c = commands; c->sql != NULL; c++) {
        psql(c->sql, out, sizeof(out));
        assert_string_equal(out, c->answer);
    }
}

static void what_waited_for_a_change_of_the_schema_sees_it(void **state)
{
    (void)state;
    assert_string_equal(ask(first, "begin; create table late (id int)"), "CREATE TABLE");
    assert_string_equal(ask(first, "alter table t add column more int default 9"), "ALTER TABLE");
    assert_int_equal(PQsendQuery(second, "insert into t values (50, 'x', 1) returning *"), 1);
    PGconn *third = connect_to(0);
    assert_int_equal(PQsendQuery(third, "create table late (id int)"), 1);
    wait_for_waiters("writer", "2");
    assert_string_equal(ask(first, "commit"), "COMMIT");
    PGresult *result = PQgetResult(third);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42P07");
    PQclear(result);
    PQfinish(third);
    /* Its row description went out before the table had the column: it is told, not given other
     * rows. */
    result = PQgetResult(second);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "0A000");
    PQclear(result);
    assert_null(PQgetResult(second));
    assert_string_equal(ask(second, "insert into t values (50, 'x', 1) returning more"), "9");
    assert_string_equal(ask(first, "drop table late"), "DROP TABLE");
}

static void cursors_go_forth_and_back(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"declare c cursor for select id from t order by id", "25P01"},
        {"begin", "BEGIN"},
        {"declare c scroll cursor for select id from t order by id", "DECLARE CURSOR"},
        {"fetch c", "1"},
        {"fetch 2 from c", "2"},
        {"fetch c", "(none)"},
        {"fetch backward 1 from c", "3"},
        {"fetch absolute 2 from c", "2"},
        {"fetch first from c", "1"},
        {"fetch last from c", "3"},
        {"move backward all in c", "MOVE 2"},
        {"fetch all from c", "1"},
        {"close c", "CLOSE CURSOR"},
        {"fetch c", "34000"},
        {"rollback", "ROLLBACK"},
        {"declare h cursor with hold for select id from t order by id", "DECLARE CURSOR"},
        {"fetch h", "1"},
        {"close h", "CLOSE CURSOR"},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void settings_follow_their_transaction(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"set application_name = 'a'", "SET"},
        {"begin; set application_name = 'b'; rollback; show application_name", "a"},
        {"begin; set local application_name = 'c'", "SET"},
        {"show application_name", "c"},
        {"commit", "COMMIT"},
        {"show application_name", "a"},
        {"begin; savepoint s; set application_name = 'd'; rollback to s", "ROLLBACK"},
        {"commit", "COMMIT"},
        {"show application_name", "a"},
        {"set timezone = 'Europe/Berlin'", "SET"},
        {"show timezone", "Europe/Berlin"},
        {"reset timezone", "RESET"},
        {"set nonsense = 1", "42704"},
        {"set my.own = 'x'", "SET"},
        {"show my.own", "x"},
        {"set client_encoding = 'latin1'", "0A000"},
        {"set statement_timeout = '5s'", "SET"},
        {"show statement_timeout", "5s"},
        {"discard all", "DISCARD ALL"},
        {"show statement_timeout", "0"},
        {NULL, NULL},
    };
    expect(first, steps);
    assert_string_equal(PQparameterStatus(first, "TimeZone"), "UTC");
    assert_int_equal(PQserverVersion(first), 150000);
}

static void arrives_after_the_commit(const char *notify, const char *answer)
{
    assert_string_equal(ask(second, "listen news"), "LISTEN");
    assert_string_equal(ask(first, "begin"), "BEGIN");
    assert_string_equal(ask(first, notify), answer);
    assert_string_equal(ask(second, "select 1"), "1");
    assert_null(PQnotifies(second));
    assert_string_equal(ask(first, "commit"), "COMMIT");
    PGnotify *notification = NULL;
    for (int i = 0; i < 500 && notification == NULL; i++) {
        sy_pause_ms(10);
        assert_int_equal(PQconsumeInput(second), 1);
        notification = PQnotifies(second);
    }
    assert_non_null(notification);
    assert_string_equal(notification->relname, "news");
    assert_string_equal(notification->extra, "hello");
    assert_int_equal(notification->be_pid, PQbackendPID(first));
    PQfreemem(notification);
    assert_string_equal(ask(second, "unlisten *"), "UNLISTEN");
}

static void notifications_arrive_after_the_commit(void **state)
{
    (void)state;
    arrives_after_the_commit("notify news, 'hello'", "NOTIFY");
    arrives_after_the_commit("select pg_notify('news', 'hel' || 'lo')", "");
    assert_string_equal(ask(first, "select pg_notify(null, 'x')"), "22023");
    assert_string_equal(ask(first, "select pg_notify('news', repeat('x', 8000))"), "22023");
}

static void a_replica_follows_and_refuses_writes(void **state)
{
    (void)state;
    PGconn *replica = connect_to(1);
    assert_string_equal(ask(first, "create table r (id int primary key, v text)"), "CREATE TABLE");
    assert_string_equal(ask(first, "insert into r values (1, 'a'), (2, 'b')"), "INSERT 0 2");
    assert_string_equal(
        ask(first, "begin; update r set v = 'c' where id = 1; delete from r where id = 2; commit"),
        "COMMIT");
    uint64_t written = atomic_load(&sy_sqlite_server_node(server, 0)->replay_lsn);
    for (int i = 0; i < 500 && atomic_load(&sy_sqlite_server_node(server, 1)->replay_lsn) < written;
         i++)
        sy_pause_ms(10);
    assert_int_equal(atomic_load(&sy_sqlite_server_node(server, 1)->replay_lsn), written);
    assert_int_equal(atomic_load(&sy_sqlite_server_node(server, 1)->role), SY_NODE_REPLICA);
    assert_string_equal(ask(replica, "select v from r where id = 1"), "c");
    assert_string_equal(ask(replica, "select count(*) from r"), "1");
    assert_string_equal(ask(replica, "insert into r values (3, 'x')"), "25006");
    assert_string_equal(ask(replica, "select pg_is_in_recovery()"), "t");
    assert_string_equal(ask(first, "drop table r"), "DROP TABLE");
    PQfinish(replica);
}

static void the_catalog_agrees_with_row_descriptions(void **state)
{
    (void)state;
    PGresult *result = PQexec(first, "select id, name from t");
    char oid[16];
    snprintf(oid, sizeof(oid), "%u", PQftable(result, 0));
    assert_string_equal(ask(first, "select 't'::regclass::oid"), oid);
    assert_int_equal(PQftablecol(result, 1), 2);
    PQclear(result);
    static const struct step steps[] = {
        {"select relname from pg_class where relname = 't' and relkind = 'r'", "t"},
        {"select pg_get_constraintdef(oid) from pg_constraint where conname = 't_pkey'",
         "PRIMARY KEY (id)"},
        {"select pg_get_indexdef(indexrelid) from pg_index where indrelid = 't'::regclass",
         "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)"},
        {"select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass "
         "and attname = 'name'",
         "text"},
        {"select column_name from information_schema.columns where table_name = 't' and "
         "ordinal_position = 3",
         "n"},
        {"select current_database()", "demo"},
        {"select current_user", "app"},
        {"insert into pg_class (relname) values ('x')", "42501"},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void a_sequence_is_read_as_a_table(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"create sequence sq start 5 increment 2", "CREATE SEQUENCE"},
        {"select last_value from sq", "5"},
        {"select is_called from sq", "f"},
        {"select nextval('sq')", "5"},
        {"select is_called from sq s", "t"},
        {"begin", "BEGIN"},
        {"select nextval('sq')", "7"},
        {"select s.last_value from sq s", "7"},
        {"commit", "COMMIT"},
        {"select last_value + log_cnt from sq", "7"},
        {"drop sequence sq", "DROP SEQUENCE"},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void what_pg_dump_asks_is_answered(void **state)
{
    (void)state;
    static const struct step steps[] = {
        /* The first SET TRANSACTION after a change of the schema: planning it is not a query. */
        {"create table dumped (id int generated by default as identity, n numeric)",
         "CREATE TABLE"},
        {"begin", "BEGIN"},
        {"set transaction isolation level repeatable read, read only", "SET"},
        {"select 1", "1"},
        {"set transaction isolation level read committed", "25001"},
        {"rollback", "ROLLBACK"},
        {"select acldefault('f', 10::oid)", "{=X/app,app=X/app}"},
        {"select acldefault('r', relowner) from pg_class where relname = 'dumped'",
         "{app=arwdDxt/app}"},
        {"select acldefault('?', 10::oid)", "XX000"},
        {"select relname[0]::text || relname[5]::text from pg_class where relname = 'dumped'",
         "dd"},
        {"select option_value from pg_options_to_table('{a=b=c,d}') where option_name = 'a'",
         "b=c"},
        {"select count(*) from pg_options_to_table(null::text[])", "0"},
        {"select nspowner::regrole from pg_namespace where nspname = 'public'",
         "pg_database_owner"},
        {"drop table dumped", "DROP TABLE"},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void definitions_name_the_schema_where_it_is_not_searched(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"create view seen as with w as (select id from t) select w.id, nextval('sq') from w, "
         "child",
         "42P01"},
        {"create sequence sq", "CREATE SEQUENCE"},
        {"create view seen as with w as (select id from t) select w.id from w, child",
         "CREATE VIEW"},
        {"alter table child alter t_id set default nextval('sq')", "ALTER TABLE"},
        {"select pg_get_viewdef('seen'::regclass)",
         " WITH w AS (SELECT id FROM t) SELECT w.id FROM w, child;"},
        {"set search_path = ''", "SET"},
        {"select pg_get_viewdef('public.seen'::regclass)",
         " WITH w AS (SELECT id FROM public.t) SELECT w.id FROM w, public.child;"},
        {"select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = "
         "'public.child'::regclass",
         "nextval('public.sq')"},
        {"select pg_get_constraintdef(oid) from pg_constraint where contype = 'f' and conrelid = "
         "'public.child'::regclass",
         "FOREIGN KEY (t_id) REFERENCES public.t(id)"},
        {"reset search_path", "RESET"},
        {"select count(*) from pg_depend where classid = 'pg_rewrite'::regclass and refobjid in "
         "('t'::regclass, 'child'::regclass)",
         "2"},
        {"drop view seen", "DROP VIEW"},
        {"alter table child alter t_id drop default", "ALTER TABLE"},
        {"drop sequence sq", "DROP SEQUENCE"},
        {NULL, NULL},
    };
    expect(first, steps);
}

static void a_statement_in_with_may_change_rows(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"with x as (insert into t values (9, 'nine', 9) returning id) insert into child select "
         "id, id from x",
         "INSERT 0 1"},
        {"select id from child", "9"},
        {"begin", "BEGIN"},
        {"with x as (update t set n = 8 where id = 1 returning id, n) select n from x", "8"},
        {"with x as (insert into t values (1, 'again', 1) returning id) select * from x", "23505"},
        {"rollback", "ROLLBACK"},
        {"select n from t where id = 1", "1"},
        {"begin read only", "BEGIN"},
        {"with x as (delete from t returning id) select * from x", "25006"},
        {"rollback", "ROLLBACK"},
        {"begin", "BEGIN"},
        {"declare c cursor for with x as (delete from t returning id) select * from x", "0A000"},
        {"rollback", "ROLLBACK"},
        {"select count(*) from t", "4"},
        {NULL, NULL},
    };
    expect(first, steps);
    const char *values[] = {"70", "seventy"};
    PGresult *result = PQexecParams(first,
                                    "with x as (insert into t values ($1, $2, 7) returning id, "
                                    "name) select id + $1, name from x",
                                    2, NULL, values, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(result, 0, 0), "140");
    assert_string_equal(PQgetvalue(result, 0, 1), "seventy");
    PQclear(result);
    assert_string_equal(ask(second, "select name from t where id = 70"), "seventy");
}

static void explain_analyze_runs_the_statement(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"explain (analyze, costs off, format json) select 1", "0A000"},
        {"explain insert into t values (50, 'x', 1)", "(none)"},
        {"select count(*) from t where id >= 50", "0"},
        {"begin", "BEGIN"},
        {"explain (analyze off) insert into t values (50, 'x', 1)", "(none)"},
        {"explain analyze insert into t values (50, 'x', 1)", "Actual Rows: 1"},
        {"select count(*) from t where id >= 50", "1"},
        {"rollback", "ROLLBACK"},
        {"explain analyze insert into t values (50, 'x', -1)", "23514"},
        {"explain analyze create table made as select 1", "0A000"},
        {NULL, NULL},
    };
    expect(first, steps);
    PGresult *result = PQexec(first, "explain analyze select * from t order by name");
    int rows = PQntuples(result);
    assert_true(rows >= 3);
    assert_string_equal(PQgetvalue(result, rows - 2, 0), "Actual Rows: 3");
    assert_int_equal(strncmp(PQgetvalue(result, rows - 1, 0), "Execution Time: ", 16), 0);
    PQclear(result);
}

/* What a connection of SQLite's keeps of the catalog must not outlive the session it was made for.
 */
static void each_session_sees_itself_as_the_owner(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        char conninfo[128], name[16];
        snprintf(name, sizeof(name), "user%d", i);
        snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=%s dbname=demo",
                 sy_sqlite_server_port(server, 0), name);
        PGconn *conn = PQconnectdb(conninfo);
        assert_string_equal(ask(conn, "select tableowner from pg_tables where tablename = 't'"),
                            name);
        PQfinish(conn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(simple_statements_have_postgresqls_tags_and_errors, new_tables),
        cmocka_unit_test_setup(a_subselect_of_values_is_called_column1, new_tables),
        cmocka_unit_test_setup(transactions_begin_fail_and_end_as_on_postgresql, new_tables),
        cmocka_unit_test_setup(a_reader_does_not_see_what_is_not_committed, new_tables),
        cmocka_unit_test_setup(a_repeatable_read_that_writes_after_a_commit_is_refused, new_tables),
        cmocka_unit_test_setup(a_waiting_writer_gives_up_after_its_lock_timeout, new_tables),
        cmocka_unit_test_setup(an_idle_transaction_that_holds_the_writer_is_ended, new_tables),
        cmocka_unit_test_setup(a_deadlock_has_one_victim, new_tables),
        cmocka_unit_test_setup(an_advisory_lock_waits_for_its_holder, new_tables),
        cmocka_unit_test_setup(a_statement_is_cancelled, new_tables),
        cmocka_unit_test_setup(prepared_statements_work_in_both_protocols, new_tables),
        cmocka_unit_test_setup(a_pipeline_is_one_transaction_until_its_sync, new_tables),
        cmocka_unit_test_setup(copy_goes_both_ways_in_text_and_csv, new_tables),
        cmocka_unit_test_setup(copy_binary_comes_back_as_it_went, new_tables),
        cmocka_unit_test_setup(a_violation_names_constraint_and_key, new_tables),
        cmocka_unit_test_setup(a_foreign_key_violation_names_key_and_value, new_tables),
        cmocka_unit_test_setup(a_sequence_is_read_as_a_table, new_tables),
        cmocka_unit_test_setup(psql_describes_tables_as_on_postgresql, new_tables),
        cmocka_unit_test_setup(what_waited_for_a_change_of_the_schema_sees_it, new_tables),
        cmocka_unit_test_setup(cursors_go_forth_and_back, new_tables),
        cmocka_unit_test_setup(settings_follow_their_transaction, new_tables),
        cmocka_unit_test_setup(notifications_arrive_after_the_commit, new_tables),
        cmocka_unit_test_setup(a_replica_follows_and_refuses_writes, new_tables),
        cmocka_unit_test_setup(the_catalog_agrees_with_row_descriptions, new_tables),
        cmocka_unit_test_setup(what_pg_dump_asks_is_answered, new_tables),
        cmocka_unit_test_setup(definitions_name_the_schema_where_it_is_not_searched, new_tables),
        cmocka_unit_test_setup(a_statement_in_with_may_change_rows, new_tables),
        cmocka_unit_test_setup(explain_analyze_runs_the_statement, new_tables),
        cmocka_unit_test_setup(each_session_sees_itself_as_the_owner, new_tables),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
