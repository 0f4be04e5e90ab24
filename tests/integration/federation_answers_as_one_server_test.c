/* Reads over several shards that only the federating database can answer: the same as one server
 * with all rows, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <endian.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/cluster.h"
#include "tests/harness/expect.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

static struct sy_cluster *home, *away; /* f0 and f2 live on the first, f1 on the second */
static struct sy_router *router;
static char databases[4096];

static const char schema[] =
    "create type mood as enum ('low', 'fine', 'high');"
    "create domain grade as int check (value between 0 and 100);"
    "create type pair as (a int, b text);"
    "create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
    "create schema app;"
    "create table authors(id bigint primary key, name text collate \"en-x-icu\", feels mood, "
    "born date);"
    "create table posts(id int, author_id bigint not null, title text, score numeric(10,2), at "
    "timestamptz, weight float8, words text[], note grade);"
    "create table app.names(name varchar(40) primary key, n int);"
    "create table events(at timestamptz, what text);"
    "create table tags(id int primary key, t text);"
    "create table audit(id int, what text collate nocase);"
    "create table notes(id int, what text);"
    "create function shout(word text) returns text immutable language sql as $$ select upper(word) "
    "|| '!' $$;"
    "create function half(n numeric) returns numeric immutable language plpgsql as $$ begin return "
    "n "
    "/ 2; end $$;"
    "create function half(n int) returns int immutable language sql as 'select n / 2';"
    "create function seen(n int) returns bigint stable language sql as 'select count(*) from "
    "posts';"
    "create view author_posts as select a.id, a.name, p.title, p.score from authors a join posts p "
    "on p.author_id = a.id;"
    "create view longest as select distinct on (author_id) author_id, title from posts order by "
    "author_id, length(title) desc, title, id";

static const char rows_tags[] =
    "insert into tags values (1, 'tag1'), (2, 'tag2'), (3, 'tag3'), (4, "
    "'tag4'), (5, 'tag5'), (6, 'tag6'), (7, 'tag7'), (8, 'tag8'), (9, "
    "'tag9')";

static const struct {
    const char *copy, *query;
} loads[] = {
    {"copy authors from stdin",
     "copy (select i, (array['anna', 'Ben', 'Ärne', 'zoe', 'Émile', 'carl'])[1 + i % 6] || i / 6, "
     "(array['low', 'fine', 'high', null])[1 + i % 4], date '1950-03-01' + i * 37 from "
     "generate_series(1, 120) i) to stdout"},
    {"copy posts from stdin",
     "copy (select i, 1 + i * 7 % 120, 'title ' || i % 23, nullif(i % 50, 7) * 1.25, timestamptz "
     "'2026-01-01 00:00+00' + i * interval '7 hours', i / 3.0, array['w' || i % 5, 'x'], i % 101 "
     "from generate_series(1, 900) i) to stdout"},
    {"copy app.names from stdin",
     "copy (select 'title ' || i, i * i from generate_series(1, 40) i) to stdout"},
    {"copy events from stdin",
     "copy (select timestamptz '2025-06-01 00:00+00' + i * interval '1 day', 'e' || i % 9 from "
     "generate_series(1, 400) i) to stdout"},
};

static const char *describe(void)
{
    unsigned p0 = sy_cluster_port(home, 0), p1 = sy_cluster_port(away, 0);
    snprintf(
        databases, sizeof(databases),
        "{ name = \"shop\"; engine = \"postgres\";\n"
        " shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=f0 user=postgres\"; } ); },\n"
        " { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=f1 "
        "user=postgres\"; } ); },\n"
        " { name = \"s2\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=f2 "
        "user=postgres\"; } ); } );\n"
        " keyspaces = ( { name = \"authors\"; strategy = \"hash\"; type = \"int8\"; tables = ( "
        "{ name = \"authors\"; key = \"id\"; }, { name = \"posts\"; key = \"author_id\"; } ); "
        "},\n"
        " { name = \"names\"; strategy = \"hash\"; type = \"varchar\"; tables = ( { name = "
        "\"app.names\"; key = \"name\"; } ); },\n"
        " { name = \"events\"; strategy = \"range\"; type = \"timestamptz\"; ranges = ( { upto "
        "= \"2026-01-01\"; shard = \"s0\"; }, { shard = \"s1\"; } ); tables = ( { name = "
        "\"events\"; key = \"at\"; } ); } );\n"
        " reference_tables = [ \"tags\" ]; local_tables = ( { name = \"audit\"; shard = "
        "\"s0\"; }, { name = \"notes\"; shard = \"s2\"; } );\n"
        " federation = { node = \"s0\"; }; } );",
        p0, p1, p0);
    return databases;
}

static PGconn *client(void)
{
    return sy_router_connect(router, "shop", NULL);
}

static PGconn *one_server(void)
{
    return sy_cluster_connect(home, 0, "whole");
}

/* What a COPY TO of one connection says goes into a COPY FROM of another. */
static void copy_over(PGconn *from, const char *query, PGconn *to, const char *copy)
{
    PGresult *out = PQexec(from, query), *in = PQexec(to, copy);
    assert_int_equal(PQresultStatus(out), PGRES_COPY_OUT);
    assert_int_equal(PQresultStatus(in), PGRES_COPY_IN);
    PQclear(out);
    PQclear(in);
    char *line = NULL;
    int bytes;
    while ((bytes = PQgetCopyData(from, &line, 0)) > 0) {
        assert_int_equal(PQputCopyData(to, line, bytes), 1);
        PQfreemem(line);
    }
    assert_int_equal(PQputCopyEnd(to, NULL), 1);
    PGconn *both[] = {from, to};
    for (int i = 0; i < 2; i++) {
        PGresult *result;
        while ((result = PQgetResult(both[i])) != NULL) {
            if (PQresultStatus(result) != PGRES_COMMAND_OK)
                fail_msg("%s: %s", copy, PQerrorMessage(both[i]));
            PQclear(result);
        }
    }
}

static void make_shards(void)
{
    home = sy_cluster_start(&(struct sy_cluster_options){.name = "home"});
    away = sy_cluster_start(&(struct sy_cluster_options){.name = "away"});
    static const char *const names[] = {"f0", "f2", "whole"};
    for (int i = 0; i < 3; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "create database %s", names[i]);
        sy_cluster_sql(home, 0, "postgres", sql);
    }
    /* Types get other OIDs where others were made before. */
    sy_cluster_sql(home, 0, "f2", "create type other as enum ('x'); create table unused(i int)");
    sy_cluster_sql(away, 0, "postgres", "create database f1");
    sy_cluster_sql(home, 0, "postgres", "create role reader login; create role nobody login");
    sy_cluster_sql(away, 0, "postgres", "create role reader login; create role nobody login");
    for (int i = 0; i < 3; i++)
        sy_cluster_sql(home, 0, names[i], schema);
    sy_cluster_sql(away, 0, "f1", schema);
    static const char grants[] = "grant select on posts, author_posts to reader; grant select (id, "
                                 "born) on authors to reader";
    sy_cluster_sql(home, 0, "f0", grants);
    sy_cluster_sql(home, 0, "f2", grants);
    sy_cluster_sql(away, 0, "f1", grants);
}

static void fill(void)
{
    PGconn *source = one_server(), *whole = one_server(), *c = client();
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        copy_over(source, loads[i].query, whole, loads[i].copy);
        copy_over(source, loads[i].query, c, loads[i].copy);
    }
    PGconn *both[] = {whole, c};
    for (int i = 0; i < 2; i++) {
        assert_string_equal(sy_run(both[i], rows_tags), "INSERT 0 9");
        assert_string_equal(sy_run(both[i], "insert into audit values (1, 'made'), (2, 'sold')"),
                            "INSERT 0 2");
        assert_string_equal(sy_run(both[i], "insert into notes values (2, 'two'), (3, 'three')"),
                            "INSERT 0 2");
    }
    PQfinish(source);
    PQfinish(whole);
    PQfinish(c);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The rows as one text; sorted unless the statement orders them. */
static char *text_of(const PGresult *result, bool ordered)
{
    int rows = PQntuples(result), columns = PQnfields(result);
    char **lines = calloc((size_t)rows + 1, sizeof(char *));
    size_t total = 1;
    for (int r = 0; r < rows; r++) {
        size_t bytes = 1, at = 0;
        for (int c = 0; c < columns; c++)
            bytes += (size_t)PQgetlength(result, r, c) + 8;
        lines[r] = malloc(bytes);
        for (int c = 0; c < columns; c++)
            at += (size_t)snprintf(lines[r] + at, bytes - at, "%s|",
                                   PQgetisnull(result, r, c) ? "NULL" : PQgetvalue(result, r, c));
        total += at + 1;
    }
    if (!ordered && rows > 0)
        qsort(lines, (size_t)rows, sizeof(char *), by_text);
    char *text = calloc(total + 1, 1), *end = text;
    for (int r = 0; r < rows; r++) {
        end = stpcpy(end, lines[r]);
        *end++ = '\n';
        free(lines[r]);
    }
    free(lines);
    return text;
}

static bool same_columns(const PGresult *a, const PGresult *b)
{
    bool same = PQnfields(a) == PQnfields(b);
    for (int c = 0; c < PQnfields(a) && same; c++) {
        bool built_in = PQftype(a, c) < 16384 || PQftype(b, c) < 16384;
        same = strcmp(PQfname(a, c), PQfname(b, c)) == 0 && PQfmod(a, c) == PQfmod(b, c) &&
               (!built_in || PQftype(a, c) == PQftype(b, c));
    }
    return same;
}

static bool same(PGconn *c, PGconn *whole, const char *sql)
{
    PGresult *here = PQexec(c, sql), *there = PQexec(whole, sql);
    if (PQresultStatus(there) != PGRES_TUPLES_OK)
        fail_msg("the one server: %s: %s", sql, PQerrorMessage(whole));
    if (PQresultStatus(here) != PGRES_TUPLES_OK)
        print_error("%s: %s", sql, PQerrorMessage(c));
    else if (!same_columns(here, there))
        print_error("%s: other columns\n", sql);
    bool ordered = strstr(sql, "/* ordered */") != NULL;
    char *a = text_of(here, ordered), *b = text_of(there, ordered);
    bool equal =
        PQresultStatus(here) == PGRES_TUPLES_OK && same_columns(here, there) && strcmp(a, b) == 0;
    if (PQresultStatus(here) == PGRES_TUPLES_OK && strcmp(a, b) != 0)
        print_error("%s\n--- router:\n%s--- one server:\n%s", sql, a, b);
    free(a);
    free(b);
    PQclear(here);
    PQclear(there);
    return equal;
}

static const char *const reads[] = {
    "select count(*), sum(p.score) from authors a join posts p on a.id = p.id",
    "select a.name, count(distinct p.title), avg(p.score) from authors a join posts p on "
    "p.author_id "
    "= a.id group by a.name",
    "select a.id, a.name, p.title from authors a left join posts p on p.author_id = a.id and "
    "p.score > 60 where a.id % 7 = 0",
    "select a.id, b.id from authors a full join (select id + 100 as id from authors) b on a.id = "
    "b.id",
    "select p.id, row_number() over (partition by p.title order by p.id), lag(p.score) over (order "
    "by p.id) from posts p where p.id < 200",
    "select title, sum(score) over w from posts window w as (partition by title order by id rows "
    "between 1 preceding and current row)",
    "select count(distinct title), count(distinct author_id) from posts",
    "select string_agg(distinct title, ',' order by title) from posts",
    "select array_agg(id order by id) from posts where id < 30",
    "select percentile_cont(0.5) within group (order by score) from posts",
    "select title, author_id % 3, count(*) from posts group by grouping sets ((title), (author_id "
    "% "
    "3), ())",
    "select feels, extract(decade from born), count(*) from authors group by rollup (feels, 2)",
    "with recursive chain(id, depth) as (select 1::bigint, 0 union all select a.id, depth + 1 from "
    "chain c join authors a on a.id = c.id * 2) select id, depth from chain",
    "select a.id, (select max(p.score) from posts p where p.id = a.id) from authors a",
    "select a.id from authors a where exists (select from posts p where p.id = a.id * 3)",
    "select a.id from authors a where a.id not in (select p.id from posts p where p.score > 30)",
    "select a.id, x.title from authors a cross join lateral (select title from posts p where p.id "
    "> "
    "a.id order by p.id limit 1) x",
    "select name from authors order by name /* ordered */",
    "select * from authors order by name, id /* ordered */",
    "select name, id from authors order by name desc nulls last, id limit 10 offset 5 /* ordered "
    "*/",
    "select feels, id from authors order by feels nulls first, id limit 40 /* ordered */",
    "select id from authors order by upper(name), id /* ordered */",
    "select min(name), max(feels), min(born), sum(id) from authors",
    "select max(words), bool_or(score > 40) from posts",
    "select distinct feels from authors",
    "select distinct words from posts order by words /* ordered */",
    "select feels, count(*) from authors group by feels",
    "select title, count(*) from posts group by title having avg(weight) > 140",
    "select name, count(*) from authors group by name order by 2 desc, 1 /* ordered */",
    "select title from posts union select name from app.names",
    "select title from posts intersect select name from app.names",
    "select name from app.names except select title from posts",
    "select title from posts where id < 20 union all select t from tags",
    "select a.what, n.what from audit a join notes n on n.id = a.id",
    "select t.t, count(distinct p.title) from tags t join posts p on p.id % 9 + 1 = t.id group by "
    "t.t",
    "select e.what, count(distinct p.title) from events e join posts p on p.at = e.at group by "
    "e.what",
    "select n.n, p.id from app.names n join posts p on p.title = n.name where p.id < 60",
    "select name, count(distinct title) from author_posts group by name",
    "select * from longest",
    "select distinct on (title) title, id from posts order by title, id desc",
    "select feels, words, note, weight from authors a join posts p on p.id = a.id",
    "select a from authors a join posts p on p.id = a.id where a.id < 9",
    "select row(a.id, p.title), a.id = any(array[1, 2, 3]) from authors a join posts p on p.id = "
    "a.id",
    "select p.words[1], p.at at time zone 'Asia/Tokyo', p.at::date, to_char(p.at, 'Day HH24:MI') "
    "from posts p join authors a on a.id = p.id",
    "select 'high'::mood, count(distinct title) from posts",
    "select a.id from authors a join posts p on p.id = a.id where a.feels > 'low' and p.weight > 3",
    "select width_bucket(score, 0, 60, 5), count(distinct title), sum(weight) > 0 from posts group "
    "by 1 having count(distinct title) > 1",
    "table audit union select id, upper(what) from audit union table notes",
    "select generate_series(1, 3), count(distinct title) from posts",
    "select v.x, count(distinct p.title) from (values (1), (2)) v(x) join posts p on p.id % 2 = "
    "v.x "
    "- 1 group by v.x",
    "select sum(n) from (select count(*) as n from posts group by title having count(*) > 39) s",
    "select title, sum(score) from posts group by title order by sum(score) desc, title fetch "
    "first "
    "3 rows with ties /* ordered */",
    "select current_user, count(distinct title) from posts",
    "select shout(title), half(id), count(distinct half(score)) from posts group by 1, 2",
    "select public.half(a.id::int) from authors a join posts p on p.id = a.id",
    "select count(distinct title), now() > '2020-01-01', current_schema() from posts",
};

static void the_same_rows(void **state)
{
    (void)state;
    PGconn *c = client(), *whole = one_server();
    int different = 0;
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
        different += !same(c, whole, reads[i]);
    static const char *const settings[] = {"set timezone = 'America/New_York'",
                                           "set datestyle = 'German'", "set extra_float_digits = 0",
                                           "set search_path = app, public",
                                           "set intervalstyle = 'iso_8601'"};
    for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
        assert_string_equal(sy_run(c, settings[s]), "SET");
        assert_string_equal(sy_run(whole, settings[s]), "SET");
    }
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
        different += !same(c, whole, reads[i]);
    assert_int_equal(different, 0);
    PQfinish(c);
    PQfinish(whole);
}

static void the_route_is_told(void **state)
{
    (void)state;
    PGconn *c = client();
    const char *joined =
        sy_ask_all(c, "explain (route) select a.name from authors a join posts p on a.id = p.id");
    assert_non_null(strstr(joined, "step 3, federation: database switchyard_fed_shop beside shard "
                                   "s0"));
    assert_non_null(strstr(joined, "do not serve: a query that does not tie its tables together"));
    const char *counted = sy_ask_all(c, "explain (route) select count(distinct title) from posts");
    assert_non_null(strstr(counted, "step 3, federation"));
    const char *ordered = sy_ask_all(c, "explain (route) select name from authors order by name");
    assert_non_null(strstr(ordered, "step 3, federation"));
    assert_non_null(strstr(ordered, "collation"));
    /* What the router is sure of stays with it. */
    static const char *const merged[] = {
        "explain (route) select id, score from posts order by score desc, id limit 3",
        "explain (route) select author_id % 3, count(*), sum(score), avg(id) from posts group by 1",
        "explain (route) select title, count(*) from posts group by title having count(*) > 2",
        "explain (route) select max(at), min(score), count(words) from posts",
    };
    for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++)
        assert_non_null(strstr(sy_ask_all(c, merged[i]), "Route: combine the rows of"));
    const char *local =
        sy_ask_all(c, "explain (route) select a.name from authors a, posts p where a.id = p.id and "
                      "p.ctid = '(0,1)'");
    assert_non_null(strstr(local, "it does not serve a system column"));
    /* Joins on the key are sent to the shards whole. */
    const char *plan =
        sy_ask_all(c, "explain (verbose) select a.name, count(distinct p.title) from "
                      "authors a join posts p on p.author_id = a.id group by a.name");
    assert_non_null(strstr(plan, "INNER JOIN public.posts"));
    PQfinish(c);
}

/* ---- the extended protocol ---- */

static char *with_parameters(PGconn *c, const char *sql, int format)
{
    uint64_t id = htobe64(40);
    uint32_t low = htonl(5);
    const char *text_values[] = {"40", "5"}, *binary_values[] = {(char *)&id, (char *)&low};
    static const int lengths[] = {8, 4}, formats[2][2] = {{0, 0}, {1, 1}};
    PGresult *prepared = PQprepare(c, "", sql, 2, (const Oid[]){20, 23});
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(prepared);
    prepared = PQdescribePrepared(c, "");
    assert_int_equal(PQnparams(prepared), 2);
    PQclear(prepared);
    PGresult *result = PQexecPrepared(c, "", 2, format == 0 ? text_values : binary_values, lengths,
                                      formats[format], format);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    size_t bytes = 1;
    for (int r = 0; r < PQntuples(result); r++)
        for (int f = 0; f < PQnfields(result); f++)
            bytes += 2 * (size_t)PQgetlength(result, r, f) + 1;
    char *text = calloc(bytes, 1), *end = text;
    for (int r = 0; r < PQntuples(result); r++)
        for (int f = 0; f < PQnfields(result); f++) {
            for (int b = 0; b < PQgetlength(result, r, f); b++)
                end += sprintf(end, "%02x", (unsigned char)PQgetvalue(result, r, f)[b]);
            *end++ = '|';
        }
    PQclear(result);
    return text;
}

static void parameters_in_text_and_binary(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "select a.id, p.title, p.score, p.at from authors a join posts p on p.id = a.id where a.id "
        "< "
        "$1 and p.id > $2 order by a.id",
        "select count(distinct title), sum(score) from posts where author_id <> $1 and id > $2",
        "select title, rank() over (order by id) from posts where id < $1 order by id limit $2",
    };
    PGconn *c = client(), *whole = one_server();
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        for (int format = 0; format < 2; format++) {
            char *a = with_parameters(c, statements[i], format),
                 *b = with_parameters(whole, statements[i], format);
            assert_string_equal(a, b);
            free(a);
            free(b);
        }
    /* An enum: parameters and columns have the OIDs that the first shard has. */
    Oid mood = (Oid)strtoul(sy_ask(c, "select 'mood'::regtype::oid::int8"), NULL, 10);
    const char *value[] = {"high"};
    PGresult *result = PQexecParams(
        c,
        "select a.feels, count(distinct p.title) from authors a join posts p on p.id = a.id "
        "where a.feels = $1 group by 1",
        1, &mood, value, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    assert_int_equal(PQftype(result, 0), mood);
    assert_int_equal(PQftable(result, 0), 0);
    assert_string_equal(PQgetvalue(result, 0, 0), "high");
    PQclear(result);
    sy_expect(c,
              {"prepare q(int) as select count(distinct title) from posts where "
               "id < $1",
               "PREPARE"},
              {"execute q(10)", "9"}, {"execute q(5)", "4"});
    PQfinish(c);
    PQfinish(whole);
}

/* ---- transactions ---- */

static const char *const joined = "select count(*) from authors a join posts p on a.id = p.id";

static void cursors_live_in_their_block(void **state)
{
    (void)state;
    PGconn *c = client();
    sy_expect(c, {"declare k cursor for select count(distinct title) from posts", "ERROR 0A000"},
              {"begin", "BEGIN"},
              {"declare k cursor for select distinct title, count(*) over "
               "(partition by title) from posts order by title",
               "DECLARE CURSOR"},
              {"fetch 2 from k", "title 0|39\ntitle 1|40"}, {"fetch 1 from k", "title 10|39"},
              {"savepoint s", "SAVEPOINT"});
    assert_string_equal(sy_ask(c, joined), "ERROR 0A000");
    sy_expect(c, {"rollback to s", "ROLLBACK"}, {"select name from authors where id = 6", "anna1"},
              {"fetch 1 from k", "title 11|39"}, {"close k", "CLOSE CURSOR"});
    assert_string_equal(sy_ask(c, joined), "ERROR 0A000"); /* its snapshot lives on */
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_ask(c, joined), "120");
    sy_expect(c, {"declare l cursor for select count(distinct title) from posts", "DECLARE CURSOR"},
              {"fetch all from l", "23"}, {"commit", "COMMIT"});
    assert_string_equal(sy_ask(c, joined), "120");
    PQfinish(c);
}

static void blocks_see_what_is_committed(void **state)
{
    (void)state;
    PGconn *c = client(), *other = client();
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_ask(c, joined), "120");
    assert_string_equal(sy_run(other, "insert into posts(id, author_id) values (7, 3)"),
                        "INSERT 0 1");
    assert_string_equal(sy_ask(c, joined), "121"); /* READ COMMITTED: what is committed now */
    assert_string_equal(sy_ask(c, "select name from authors where id = 6"), "anna1");
    assert_string_equal(sy_run(c, "update authors set name = 'x' where id = 6"), "UPDATE 1");
    assert_string_equal(sy_ask(c, joined), "ERROR 0A000");
    assert_string_equal(sy_ask(c, "select 1"), "ERROR 25P02");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_string_equal(sy_run(other, "delete from posts where id = 7 and author_id = 3"),
                        "DELETE 1");
    assert_string_equal(sy_ask(c, joined), "120");
    /* An error there fails the block here. */
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_ask(c, "select count(distinct title) / 0 from posts"), "ERROR 22012");
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
    assert_string_equal(sy_ask(c, "select 1"), "ERROR 25P02");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    PQfinish(c);
    PQfinish(other);
}

static void what_another_server_cannot_know_is_refused(void **state)
{
    (void)state;
    static const char *const openings[] = {"begin isolation level repeatable read",
                                           "begin; set local enable_sort = off",
                                           "begin; insert into authors(id) values (1000)"};
    PGconn *c = client();
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        PQclear(PQexec(c, openings[i]));
        assert_string_equal(sy_ask(c, joined), "ERROR 0A000");
        assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    }
    sy_expect(c, {"begin", "BEGIN"},
              {"select now(), count(distinct title) from posts", "ERROR 0A000"},
              {"rollback", "ROLLBACK"});
    static const char *const refused[] = {
        "select a.id from authors a join posts p on a.id = p.id for update",
        "select p.ctid from authors a join posts p on a.id = p.id",
        "select count(distinct title), current_database() from posts, pg_class",
        "select a.id, a.name from authors a join posts p on a.id = p.id group by a.id",
        "select count(distinct relname) from posts, pg_class",
        "select count(distinct title), seen(1) from posts",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_string_equal(sy_ask(c, refused[i]), "ERROR 0A000");
    assert_string_equal(sy_ask(c, "select current_database() || count(distinct author_id % 2) "
                                  "from posts"),
                        "shop2");
    assert_string_equal(sy_ask(c, "select nothing from authors a join posts p on a.id = p.id"),
                        "ERROR 42703");
    PQfinish(c);
}

/* ---- who asks ---- */

static void grants_hold(void **state)
{
    (void)state;
    PGconn *reader = sy_router_connect(router, "shop", "user=reader"),
           *nobody = sy_router_connect(router, "shop", "user=nobody");
    sy_expect(reader, {"select count(distinct title) from posts", "23"},
              {"select count(a.born) from authors a join posts p on p.id = "
               "a.id",
               "120"},
              {"select count(distinct name) from author_posts", "120"},
              {"select max(a.name) from authors a join posts p on p.id = "
               "a.id",
               "ERROR 42501"});
    assert_string_equal(sy_ask(nobody, "select count(distinct title) from posts"), "ERROR 42501");
    assert_string_equal(sy_ask(nobody, "select count(distinct title) from posts where false"),
                        "ERROR 42501");
    PQfinish(reader);
    PQfinish(nobody);
}

/* ---- schema changes ---- */

static void ddl_is_known_at_once(void **state)
{
    (void)state;
    PGconn *c = client(), *other = client();
    assert_string_equal(sy_run(c, "set lock_timeout = '60s'"), "SET");
    PQclear(PQprepare(other, "kept",
                      "select a.feels, count(distinct p.title) from authors a join "
                      "posts p on p.id = a.id group by 1 order by 1",
                      0, NULL));
    PQclear(PQexecPrepared(other, "kept", 0, NULL, NULL, NULL, 0));
    const char *count = "select max(extra), count(distinct title) from posts";
    assert_string_equal(sy_ask(other, "select count(distinct title) from posts"), "23");
    assert_string_equal(sy_run(c, "alter table posts add column extra int default 7"),
                        "ALTER TABLE");
    assert_string_equal(sy_ask_all(other, count), "7|23");
    /* Nothing of its own changed: the types are the same as before. */
    PGresult *kept = PQexecPrepared(other, "kept", 0, NULL, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(kept), PGRES_TUPLES_OK);
    assert_string_equal(PQgetvalue(kept, 0, 0), "low");
    PQclear(kept);
    assert_string_equal(sy_ask(other, "select count(distinct shout(title)) from posts"), "23");
    assert_string_equal(sy_run(c, "alter table posts alter column extra type text using 'x' || "
                                  "extra"),
                        "ALTER TABLE");
    assert_string_equal(sy_ask_all(other, count), "x7|23");
    sy_expect(c, {"alter type mood add value 'best'", "ALTER TYPE"},
              {"select count(distinct title), 'best'::mood from posts", "23|best"},
              {"alter table posts rename column extra to rest", "ALTER TABLE"});
    assert_string_equal(sy_ask(other, count), "ERROR 42703");
    assert_string_equal(sy_run(c, "alter table posts drop column rest"), "ALTER TABLE");
    assert_string_equal(sy_ask(other, "select count(distinct title) from posts"), "23");
    PQfinish(c);
    PQfinish(other);
}

static bool becomes(PGconn *c, const char *sql, const char *expected, int tries)
{
    for (int i = 0; i < tries; i++) {
        if (strcmp(sy_ask(c, sql), expected) == 0)
            return true;
        PQclear(PQexec(c, "select pg_sleep(0.2)"));
    }
    return false;
}

/* The shard on the other server is away: an error, no part of the answer; and back again. */
static void a_dead_shard_is_an_error(void **state)
{
    (void)state;
    PGconn *c = client();
    assert_string_equal(sy_ask(c, joined), "120");
    sy_cluster_stop_node(away, 0, SY_STOP_IMMEDIATE);
    const char *answer = sy_ask(c, joined);
    assert_memory_equal(answer, "ERROR ", 6);
    assert_string_equal(sy_ask(c, "select 1 from authors where false and id = 6"), "");
    sy_cluster_start_node(away, 0);
    assert_true(becomes(c, joined, "120", 600));
    PQfinish(c);
}

/* Somebody drops the database, or holds it: refused with the reason, until it is made again. */
static void it_is_made_again(void **state)
{
    (void)state;
    PGconn *c = client();
    sy_router_restart(router, true);
    PQfinish(c);
    sy_cluster_sql(home, 0, "postgres", "drop database switchyard_fed_shop with (force)");
    c = client();
    PGconn *console = sy_router_connect(router, "switchyard", NULL);
    const char *gone = sy_ask(c, joined);
    assert_memory_equal(gone, "ERROR ", 6);
    sy_router_reload(router, databases, NULL);
    assert_true(becomes(c, joined, "120", 600));
    assert_string_equal(sy_ask_all(console, "show federation"),
                        "shop|s0|switchyard_fed_shop|yes|9|");
    PQfinish(console);
    PQfinish(c);
}

/* Whether the keeper waits for the lock that `holder` has. */
static bool keeper_waits(PGconn *holder)
{
    for (int i = 0; i < 3000; i++) {
        if (sy_ask(holder, "select true from pg_stat_activity where application_name = "
                           "'switchyard federation' and wait_event_type = 'Lock'")[0] == 't')
            return true;
        sy_pause_ms(10);
    }
    return false;
}

/* The keeper is asking a server that says nothing any more: the router must end all the same. The
 * last test. */
static void a_silent_server_keeps_nobody(void **state)
{
    (void)state;
    PGconn *holder = sy_cluster_connect(home, 0, "switchyard_fed_shop");
    assert_string_equal(sy_run(holder, "select pg_advisory_lock(8316874539862290)"), "SELECT 1");
    sy_router_reload(router, describe(), NULL);
    assert_true(keeper_waits(holder));
    sy_cluster_pause_node(home, 0);
    int status = sy_router_stop(&router, SIGTERM); /* fails if it takes more than 30 s */
    sy_cluster_resume_node(home, 0);
    assert_int_equal(status, 0);
    PQfinish(holder);
}

static int start(void **state)
{
    (void)state;
    make_shards();
    router = sy_router_start(describe(), NULL, NULL);
    fill();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&home);
    sy_cluster_free(&away);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_rows),
        cmocka_unit_test(the_route_is_told),
        cmocka_unit_test(parameters_in_text_and_binary),
        cmocka_unit_test(cursors_live_in_their_block),
        cmocka_unit_test(blocks_see_what_is_committed),
        cmocka_unit_test(what_another_server_cannot_know_is_refused),
        cmocka_unit_test(grants_hold),
        cmocka_unit_test(ddl_is_known_at_once),
        cmocka_unit_test(a_dead_shard_is_an_error),
        cmocka_unit_test(it_is_made_again),
        cmocka_unit_test(a_silent_server_keeps_nobody),
    };
    return sy_harness_finish(cmocka_run_group_tests(tests, start, stop));
}
