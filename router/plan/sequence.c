/* The block that spreads sequences, in PL/pgSQL. See sequence.h. */
#include "router/plan/sequence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "router/plan/route_internal.h"

uint32_t sy_sequence_modulus(uint32_t shard_count)
{
    static const uint32_t primes[] = {17, 37, 67, 131, 257};
    _Static_assert(SY_LIMIT_SHARDS <= 257, "there is a prime for any number of shards");
    size_t i = 0;
    while (primes[i] < shard_count && i + 1 < sizeof(primes) / sizeof(primes[0]))
        i++;
    return primes[i];
}

bool sy_route_spreads_sequences(const struct sy_route *route)
{
    return route->spreads;
}

const char *sy_route_spreads_tag(const struct sy_route *route)
{
    static const char *const tags[] = {"CREATE TABLE",   "CREATE FOREIGN TABLE", "CREATE SEQUENCE",
                                       "ALTER SEQUENCE", "CREATE SCHEMA",        "ALTER TABLE"};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
        if (route->stmt->tag != NULL && strcmp(route->stmt->tag, tags[i]) == 0)
            return tags[i];
    return "ALTER TABLE";
}

/* A sequence that a reference table owns is drawn from on one shard only, for all. */
void sy_route_note_sequences(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    bool postgres = route->database == NULL || route->database->engine == SY_ENGINE_POSTGRES;
    bool sequence = sy_slice_eq(stmt->object_kind, SY_SLICE("sequence"));
    bool sharded = false, reference = false;
    for (int32_t i = 0; i < stmt->table_count; i++) {
        bool defines = stmt->tables[i].role == SY_TABLE_DEFINE;
        sharded = sharded || (defines && route->uses[i].kind == USE_SHARDED);
        reference = reference || (defines && route->uses[i].kind == USE_REFERENCE);
    }
    /* The embedded engine finds the class by START and INCREMENT each time. */
    if (!postgres && route->plan.kind == SY_PLAN_ALL && stmt->counts_sequence &&
        !stmt->restarts_sequence && stmt->tag != NULL && strcmp(stmt->tag, "ALTER SEQUENCE") == 0) {
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                       "changing how a sequence over several shards counts is not supported "
                       "without RESTART");
        sy_err_hint(&route->plan.refusal, "Add RESTART WITH a value above all that were given.");
    }
    if (!stmt->counts_sequence || !postgres || route->plan.kind != SY_PLAN_ALL ||
        (reference && !sharded && !sequence))
        return;
    route->spreads = route->freezes = true;
}

/* ---- the block ---- */

/* What was there before, to know what the statement made or changed. A sequence's position is the
 * first value of its class that is not in front of where the statement put it. */
static const char head[] =
    "DECLARE m CONSTANT pg_catalog.numeric := %" PRIu32
    "; shard CONSTANT pg_catalog.numeric := %" PRIu32 "; restarts CONSTANT pg_catalog.bool := %s;"
    " before CONSTANT pg_catalog.jsonb := (SELECT coalesce(pg_catalog.jsonb_object_agg("
    "seqrelid::pg_catalog.int8::pg_catalog.text, pg_catalog.jsonb_build_array(seqincrement, "
    "seqstart, seqcycle)), '{}') FROM pg_catalog.pg_sequence);"
    " s pg_catalog.record; was pg_catalog.jsonb; at pg_catalog.record; base pg_catalog.numeric;"
    " origin pg_catalog.numeric; gap pg_catalog.numeric; BEGIN EXECUTE ";

static const char loop[] =
    "; FOR s IN SELECT q.*, q.seqrelid::pg_catalog.regclass::pg_catalog.text AS name FROM "
    "pg_catalog.pg_sequence q JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid WHERE "
    "c.relpersistence <> 't' AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AND (before -> "
    "q.seqrelid::pg_catalog.int8::pg_catalog.text IS DISTINCT FROM "
    "pg_catalog.jsonb_build_array(q.seqincrement, q.seqstart, q.seqcycle)";

static const char body[] =
    ") LOOP was := before -> s.seqrelid::pg_catalog.int8::pg_catalog.text;"
    " IF s.seqcycle THEN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = pg_catalog.format("
    "'CYCLE of sequence %s over several shards is not supported', s.name), HINT = 'Leave it out, "
    "or take what is left of a division from the values.'; END IF;"
    " IF was IS NOT NULL AND NOT restarts THEN IF was - 2 = pg_catalog.jsonb_build_array("
    "s.seqincrement, s.seqstart) THEN CONTINUE; END IF; RAISE EXCEPTION USING ERRCODE = '0A000', "
    "MESSAGE = "
    "pg_catalog.format('changing INCREMENT or START of sequence %s over several shards is not "
    "supported without RESTART', s.name), HINT = 'Add RESTART WITH a value above all that were "
    "given.'; END IF;"
    " base := CASE WHEN s.seqincrement % m = 0 THEN s.seqincrement / m ELSE s.seqincrement END;"
    " base := pg_catalog.trunc(base);"
    " origin := shard * base + s.seqstart - CASE WHEN was ->> 1 = s.seqstart::pg_catalog.text AND "
    "(was ->> 0)::pg_catalog.numeric % m = 0 THEN shard * pg_catalog.trunc((was ->> "
    "0)::pg_catalog.numeric / m) ELSE 0 END;"
    " EXECUTE pg_catalog.format('SELECT last_value, is_called FROM %s', s.name) INTO at;"
    " gap := (origin - at.last_value) % (base * m);"
    " IF gap * base < 0 THEN gap := gap + base * m; END IF;"
    " IF gap = 0 AND at.is_called THEN gap := base * m; END IF;"
    " EXECUTE pg_catalog.format('ALTER SEQUENCE %s INCREMENT BY %s START WITH %s RESTART WITH %s', "
    "s.name, base * m, origin, at.last_value + gap);";

/* ALTER TABLE ... ADD of such a column: the rows that were there drew before the sequence was
 * spread. Its values from here on are none of those. */
static const char refill[] =
    " IF was IS NULL AND at.is_called THEN FOR at IN SELECT d.refobjid::pg_catalog.regclass AS "
    "name, a.attname, EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = d.refobjid AND "
    "NOT t.tgisinternal) AS triggers FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON "
    "a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = "
    "'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.seqrelid AND d.refclassid = "
    "d.classid AND d.deptype IN ('a', 'i') AND d.refobjid = ";
static const char refill_end[] =
    " LOOP IF at.triggers THEN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = "
    "pg_catalog.format('adding column %s, which counts, to a table with rows and triggers is not "
    "supported over several shards', at.attname), HINT = 'Drop the triggers before, and make them "
    "again.'; END IF; EXECUTE pg_catalog.format('UPDATE %s SET %I = DEFAULT', at.name, "
    "at.attname); END LOOP; END IF;";
static const char tail[] = " END LOOP; END ";

static bool contains(struct sy_slice text, const char *word)
{
    return memmem(text.data, text.bytes, word, strlen(word)) != NULL;
}

static void put_doubled(struct sy_buf *out, struct sy_slice name, const char *marks)
{
    for (size_t i = 0; i < name.bytes; i++)
        sy_buf_printf(out, strchr(marks, name.data[i]) != NULL ? "%c%c" : "%c", name.data[i],
                      name.data[i]);
}

/* The statement's first name, as to_regclass() reads it. */
static void put_relation(struct sy_buf *out, const struct sy_qname *name)
{
    struct sy_buf quoted = {0};
    sy_buf_append_str(&quoted, "\"");
    if (name->schema.bytes > 0) {
        put_doubled(&quoted, name->schema, "\"");
        sy_buf_append_str(&quoted, "\".\"");
    }
    put_doubled(&quoted, name->name, "\"");
    sy_buf_append_str(&quoted, "\"");
    sy_buf_append_str(out, "pg_catalog.to_regclass(E'");
    put_doubled(out, (struct sy_slice){quoted.data, quoted.bytes}, "'\\");
    sy_buf_append_str(out, "')");
    out->failed = out->failed || quoted.failed;
    sy_buf_release(&quoted);
}

/* RESTART of a sequence whose definition stays: of this one, or of one of the table's. */
static void put_restarted(struct sy_buf *out, const struct sy_stmt *stmt)
{
    if (!stmt->restarts_sequence || stmt->table_count == 0)
        return;
    sy_buf_append_str(out, " OR q.seqrelid = ");
    put_relation(out, &stmt->tables[0].name);
    sy_buf_append_str(out, " OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = "
                           "'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = q.seqrelid "
                           "AND d.refclassid = d.classid AND d.deptype IN ('a', 'i') AND "
                           "d.refobjid = ");
    put_relation(out, &stmt->tables[0].name);
    sy_buf_append_str(out, ")");
}

static void put_block(struct sy_buf *out, const struct sy_route *route,
                      const struct sy_scatter *scatter)
{
    char outer[32], inner[32];
    uint32_t shards = sy_shardmap_shard_count(route->map);
    unsigned n = 0;
    do {
        snprintf(outer, sizeof(outer), "$switchyard_%u$", n++);
        snprintf(inner, sizeof(inner), "$switchyard_%u$", n++);
    } while (contains(scatter->text, outer) || contains(scatter->text, inner));
    sy_buf_printf(out, "DO %s ", outer);
    sy_buf_printf(out, head, sy_sequence_modulus(shards), scatter->shard,
                  route->stmt->restarts_sequence ? "true" : "false");
    sy_buf_append_str(out, inner);
    sy_buf_append_slice(out, scatter->text);
    sy_buf_append_str(out, inner);
    sy_buf_append_str(out, loop);
    put_restarted(out, route->stmt);
    sy_buf_append_str(out, body);
    if (strcmp(sy_route_spreads_tag(route), "ALTER TABLE") == 0 && route->stmt->table_count > 0) {
        sy_buf_append_str(out, refill);
        put_relation(out, &route->stmt->tables[0].name);
        sy_buf_append_str(out, refill_end);
    }
    sy_buf_append_str(out, tail);
    sy_buf_append_str(out, outer);
}

enum sy_status sy_sequence_text(const struct sy_route *route, const struct sy_scatter *scatter,
                                struct sy_arena *arena, struct sy_scattered *ret_scattered,
                                struct sy_err *err)
{
    struct sy_buf out = {0};
    put_block(&out, route, scatter);
    const char *copy = out.failed ? NULL : sy_arena_strndup(arena, out.data, out.bytes);
    size_t bytes = out.bytes;
    sy_buf_release(&out);
    if (copy == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *ret_scattered = (struct sy_scattered){.sql = {copy, bytes}};
    return SY_OK;
}
