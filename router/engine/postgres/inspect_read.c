/*
 * One server's catalog in eight answers, read in one snapshot. Everything is schema-qualified,
 * because the search path of a role is its owner's to change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "router/engine/postgres/inspect_internal.h"

/* Functions whose answer on a standby, or through another session, may be another: conservative, by
 * name. */
#define VARIES                                                                                     \
    "(p.pronamespace = 'pg_catalog'::regnamespace and (p.proname like 'pg\\_%' or p.proname like " \
    "'txid%' "                                                                                     \
    "or p.proname like 'inet\\_%' or p.proname in ('version', 'current_setting', 'set_config', "   \
    "'nextval', "                                                                                  \
    "'currval', 'lastval', 'setval', 'query_to_xml', 'table_to_xml', 'cursor_to_xml')))"

/* A view whose functions may read any table. */
#define CALLS_USERS                                                                                \
    "c.relkind in ('v', 'm') and c.oid >= 16384 and exists (select from pg_catalog.pg_rewrite r, " \
    "regexp_matches(r.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\\d+)', 'g') f "   \
    "join pg_catalog.pg_proc p on p.oid = f[1]::oid where r.ev_class = c.oid and ((p.oid >= "      \
    "16384 and p.provolatile <> 'i') or (p.oid < 16384 and (p.proname = 'ts_stat' or p.proname "   \
    "like '%\\_to\\_xml%'))))"

/* What a default calls, found as in a view's rule; the clock and the session's names are nodes of
 * their own. */
#define DEFAULT_VOLATILITY                                                                         \
    "case when a.attgenerated <> '' then '' when a.attidentity <> '' then 'v' when d.adbin is "    \
    "null then '' else (select case max(case p.provolatile when 'v' then 3 when 's' then 2 else "  \
    "1 end) when 3 then 'v' when 2 then 's' else case when d.adbin::text ~ "                       \
    "'SQLVALUEFUNCTION|COERCEVIAIO|NEXTVALUEEXPR' then 's' else 'i' end end from "                 \
    "regexp_matches(d.adbin::text, ':(?:funcid|opfuncid) (\\d+)', 'g') f join "                    \
    "pg_catalog.pg_proc p on p.oid = f[1]::oid) end"
#define DEFAULT_SQL                                                                                \
    "case when a.attgenerated <> '' then '' when a.attidentity <> '' then "                        \
    "format('nextval(%L::regclass)', pg_get_serial_sequence(format('%I.%I', n.nspname, "           \
    "c.relname), a.attname)) else coalesce(pg_get_expr(d.adbin, d.adrelid), '') end"

static const char *const queries[INSPECT_QUERIES] = {
    [INSPECT_SERVER] =
        "select current_setting('server_version'), current_setting('server_version_num'), "
        "pg_encoding_to_char(encoding), datcollate, datctype, coalesce(datcollversion, '') "
        "from pg_catalog.pg_database where datname = current_database()",
    [INSPECT_NAMESPACES] =
        "select nspname from pg_catalog.pg_namespace "
        "where nspname not like 'pg\\_toast%' and nspname not like 'pg\\_temp%' order by 1",
    /* A user's view is provable when nothing in its rule calls what is volatile or varies: the
     * rule's tree names every function by OID (dependencies on built-in functions are not recorded,
     * so pg_depend would not do). */
    [INSPECT_RELATIONS] =
        "select format('%I.%I', n.nspname, c.relname), n.nspname, c.relname, c.oid, c.relkind, "
        "c.relpersistence = 'u', "
        "exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and not "
        "t.tgisinternal) or (c.relkind in ('r', 'p') and exists (select from pg_catalog.pg_rewrite "
        "u where u.ev_class = c.oid)), "
        "c.relrowsecurity, "
        "case when c.relkind = 'v' and c.oid >= 16384 then not exists ("
        "select from pg_catalog.pg_rewrite r, "
        "regexp_matches(r.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\\d+)', 'g') f "
        "join pg_catalog.pg_proc p on p.oid = f[1]::oid "
        "where r.ev_class = c.oid and (p.provolatile = 'v' or " VARIES
        ")) else false end, " CALLS_USERS " "
        "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') and c.relpersistence <> 't' "
        "and n.nspname not like 'pg\\_toast%' "
        "and (c.relkind not in ('i', 'I') or c.oid >= 16384) order by c.oid",
    [INSPECT_COLUMNS] =
        "select a.attrelid, a.attname, t.typname, a.atttypid, a.atttypmod, "
        "a.atthasdef or a.attidentity <> '', "
        "a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) like 'nextval(%', false), "
        "a.attgenerated <> '', coalesce(not l.collisdeterministic, false), format_type(a.atttypid, "
        "a.atttypmod), case when l.oid is null then '' when l.collname in ('C', 'POSIX') then 'c' "
        "when l.collname = 'default' and d0.datlocprovider = 'c' and (d0.datcollate in ('C', "
        "'POSIX') "
        "or (d0.datcollate in ('C.UTF-8', 'C.utf8') and d0.encoding = 6)) then 'd' else 'o' "
        "end, " DEFAULT_VOLATILITY ", " DEFAULT_SQL " "
        "from pg_catalog.pg_database d0, pg_catalog.pg_attribute a join pg_catalog.pg_class c on "
        "c.oid = a.attrelid "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        "join pg_catalog.pg_type t on t.oid = a.atttypid "
        "left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum "
        "left join pg_catalog.pg_collation l on l.oid = a.attcollation "
        "where d0.datname = current_database() and a.attnum > 0 and not a.attisdropped "
        "and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't' and n.nspname not "
        "like 'pg\\_toast%' order by a.attrelid, "
        "a.attnum",
    [INSPECT_DEPENDS] = "select distinct r.ev_class, m[1]::oid from pg_catalog.pg_rewrite r, "
                        "regexp_matches(r.ev_action::text, ':relid (\\d+)', 'g') m where "
                        "r.rulename = '_RETURN' and r.ev_class >= 16384 "
                        "and m[1]::oid <> r.ev_class and m[1] <> '0' order by 1, 2",
    [INSPECT_FUNCTIONS] = "select n.nspname, p.proname, (array_agg(p.provolatile order by "
                          "position(p.provolatile::text in 'vsi')))[1] "
                          "from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = "
                          "p.pronamespace group by 1, 2",
    [INSPECT_TYPES] =
        "select format('%I.%I', n.nspname, t.typname), t.oid, t.typarray, "
        "case t.typtype "
        "when 'e' then 'enum ' || coalesce((select string_agg(quote_literal(e.enumlabel), ',' "
        "order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid), '') "
        "when 'd' then 'domain over ' || format_type(t.typbasetype, t.typtypmod) "
        "when 'c' then 'composite ' || coalesce((select string_agg(quote_ident(a.attname) || ' ' "
        "|| "
        "format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum) from "
        "pg_catalog.pg_attribute a "
        "where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped and "
        "(select relkind from pg_catalog.pg_class where oid = t.typrelid) = 'c'), '') "
        "else 'type ' || t.typtype::text end, t.typtype, "
        /* What its values are made of. Through json, since servers before 14 have no multiranges.
         */
        "case t.typtype when 'd' then t.typbasetype "
        "when 'r' then (select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid) "
        "when 'm' then (select r.rngtypid from pg_catalog.pg_range r "
        "where (to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid) else 0 end "
        "from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace "
        "where t.oid >= 16384 and n.nspname not like 'pg\\_toast%' and n.nspname not like "
        "'pg\\_temp%' "
        "and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid) order by t.oid",
    [INSPECT_SEQUENCES] =
        "select format('%I.%I', n.nspname, c.relname), q.seqincrement, q.seqstart, o.nspname, "
        "t.relname from pg_catalog.pg_sequence q join pg_catalog.pg_class c on c.oid = q.seqrelid "
        "join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_depend d on "
        "d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.refclassid = "
        "d.classid and d.deptype in ('a', 'i') join pg_catalog.pg_class t on t.oid = d.refobjid "
        "join pg_catalog.pg_namespace o on o.oid = t.relnamespace where c.relpersistence <> 't' "
        "order by format('%I.%I', n.nspname, c.relname) collate \"C\"",
};

static const char prologue[] = "set search_path = pg_catalog; set statement_timeout = '60s'; set "
                               "lock_timeout = '10s'; set datestyle = 'ISO'; "
                               "begin transaction isolation level repeatable read read only";

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument, (void)result;
}

static bool note(struct inspect_shard *shard, const char *why)
{
    size_t bytes = strcspn(why, "\n");
    snprintf(shard->why, sizeof(shard->why), "%.*s", (int)bytes, why);
    return false;
}

/* All answers of a shard come within a minute, or other databases would have to wait for it. */
static PGresult *ask(PGconn *conn, const char *sql, const struct timespec *begin)
{
    enum { PATIENCE_MS = 60 * 1000 };
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t spent_ms =
        (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
    return spent_ms < PATIENCE_MS ? pg_ask(conn, sql, 0, NULL, (uint32_t)(PATIENCE_MS - spent_ms))
                                  : NULL;
}

static bool ask_all(struct inspect_shard *shard, PGconn *conn)
{
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    PGresult *begun = ask(conn, prologue, &begin);
    bool good = PQresultStatus(begun) == PGRES_COMMAND_OK;
    PQclear(begun);
    for (int i = 0; good && i < INSPECT_QUERIES; i++) {
        shard->results[i] = ask(conn, queries[i], &begin);
        good = PQresultStatus(shard->results[i]) == PGRES_TUPLES_OK;
    }
    if (good && PQntuples(shard->results[INSPECT_SERVER]) != 1)
        return note(shard, "the server does not know its database");
    const char *why = PQerrorMessage(conn);
    return good ||
           note(shard, why[0] != '\0' ? why : "it did not answer in time, or not to the question");
}

/* ---- look-up ---- */

static bool put(struct sy_map *map, const char *key, int row)
{
    return sy_map_put(map, sy_slice_of(key), (void *)(intptr_t)(row + 1), NULL, NULL) == SY_OK;
}

int inspect_find(const struct sy_map *map, const char *key)
{
    return (int)(intptr_t)sy_map_get(map, sy_slice_of(key)) - 1;
}

/* Columns come sorted by relation: note where each relation's begin. */
static void index_columns(struct inspect_shard *shard)
{
    int count = PQntuples(shard->results[INSPECT_COLUMNS]);
    for (int i = 0; i < count; i++) {
        int row =
            inspect_find(&shard->relations_by_oid, inspect_text(shard, INSPECT_COLUMNS, i, 0));
        if (row < 0)
            continue;
        if (shard->column_count[row]++ == 0)
            shard->first_column[row] = i;
    }
}

static bool index_all(struct inspect_shard *shard)
{
    int relations = PQntuples(shard->results[INSPECT_RELATIONS]),
        types = PQntuples(shard->results[INSPECT_TYPES]);
    bool good = true;
    shard->first_column = calloc((size_t)relations + 1, sizeof(int));
    shard->column_count = calloc((size_t)relations + 1, sizeof(int));
    for (int i = 0; i < relations && good; i++)
        good = put(&shard->relations, inspect_text(shard, INSPECT_RELATIONS, i, 0), i) &&
               put(&shard->relations_by_oid, inspect_text(shard, INSPECT_RELATIONS, i, 3), i);
    for (int i = 0; i < types && good; i++)
        good = put(&shard->types, inspect_text(shard, INSPECT_TYPES, i, 0), i);
    if (!good || shard->first_column == NULL || shard->column_count == NULL)
        return note(shard, "out of memory");
    index_columns(shard);
    return true;
}

void inspect_read(struct inspect_shard *shard, const struct sy_node *node)
{
    const char *names[] = {"dbname", "fallback_application_name", "connect_timeout", NULL};
    const char *values[] = {node->control_conninfo, "switchyard inspection", "5", NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (PQstatus(conn) != CONNECTION_OK)
        note(shard, conn != NULL ? PQerrorMessage(conn) : "out of memory");
    else
        shard->read = ask_all(shard, conn) && index_all(shard);
    PQfinish(conn);
}

void inspect_release(struct inspect_shard *shard)
{
    for (int i = 0; i < INSPECT_QUERIES; i++)
        PQclear(shard->results[i]);
    sy_map_release(&shard->relations);
    sy_map_release(&shard->relations_by_oid);
    sy_map_release(&shard->types);
    free(shard->first_column);
    free(shard->column_count);
}
