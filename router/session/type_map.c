/*
 * Types and tables whose OIDs differ between shards (enums, domains, composites): clients see those
 * of shard 0. RowDescription and ParameterDescription are rewritten in place, parameter types of
 * Parse the other way. So are the OIDs inside binary values of arrays, records and ranges: rows
 * whose columns hold some are gathered and rewritten, Bind likewise. Their types must be known:
 * where the client did not ask for the columns, the router does (sy_part_ask_columns). The worker's
 * thread.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "router/session/internal.h"

static const struct sy_type_map *map_of(const struct sy_part *part)
{
    const struct sy_topology_database *database = part->session->database->topology;
    if (part->federation && database != NULL && database->inspected != NULL &&
        database->inspected->federation != NULL)
        return &database->inspected->federation->types;
    if (part->shard == 0 || database == NULL || database->inspected == NULL ||
        part->shard >= database->inspected->shard_count)
        return NULL;
    const struct sy_type_map *map = &database->inspected->maps[part->shard];
    return map->type_count == 0 && map->table_count == 0 && !map->unread ? NULL : map;
}

bool sy_part_maps_types(const struct sy_part *part)
{
    return map_of(part) != NULL;
}

static void put_u32(char *at, uint32_t value)
{
    uint32_t wire = htonl(value);
    memcpy(at, &wire, sizeof(wire));
}

/* name, zero, table OID, attribute, type OID, size, modifier, format */
static void map_columns(const struct sy_type_map *map, bool federation, char *body, size_t bytes)
{
    size_t at = 2;
    while (at < bytes) {
        const char *zero = memchr(body + at, 0, bytes - at);
        if (zero == NULL || bytes - (size_t)(zero + 1 - body) < 18)
            return;
        char *fields = body + (zero + 1 - body);
        put_u32(fields, sy_type_map_table(map, sy_u32_at(fields, 0)));
        if (federation) /* the columns of its tables are numbered otherwise */
            memset(fields, 0, 6);
        put_u32(fields + 6, sy_type_map_type(map, sy_u32_at(fields + 6, 0)));
        at = (size_t)(fields + 18 - body);
    }
}

void sy_part_map_description(const struct sy_part *part, char type, char *body, size_t bytes)
{
    const struct sy_type_map *map = map_of(part);
    if (map == NULL || bytes < 2)
        return;
    if (type == 'T') {
        map_columns(map, part->federation, body, bytes);
        return;
    }
    for (size_t at = 2; at + 4 <= bytes; at += 4)
        put_u32(body + at, sy_type_map_type(map, sy_u32_at(body + at, 0)));
}

void sy_part_map_parse(const struct sy_part *part, const uint32_t *types, uint16_t count,
                       uint32_t *ret_types)
{
    const struct sy_type_map *map = map_of(part);
    for (uint16_t i = 0; i < count; i++)
        ret_types[i] = map == NULL ? types[i] : sy_type_map_type_back(map, types[i]);
}

/* ---- inside values ---- */

/* From the shard's OIDs to shard 0's, or back. */
static struct sy_value_map values_of(const struct sy_part *part, bool back)
{
    const struct sy_type_map *map = map_of(part);
    if (map == NULL)
        return (struct sy_value_map){0};
    const struct sy_topology_schema *schema = part->session->database->topology->inspected;
    return (struct sy_value_map){
        .oids = map, .shapes = back ? &schema->maps[0] : map, .back = back};
}

struct sy_row_map {
    struct sy_value_map values;
    uint16_t count, columns; /* entries; columns of a row */
    struct row_column {
        uint16_t index;
        uint32_t type; /* the shard's */
    } list[];
};

static struct sy_statement *find_statement(struct sy_session *session, uint64_t id)
{
    if (session->extended == NULL || id == 0)
        return NULL;
    struct sy_prepared *unnamed = session->extended->unnamed;
    if (unnamed != NULL && unnamed->statement->id == id)
        return unnamed->statement;
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&session->extended->statements, &at, &entry);) {
        const struct sy_prepared *prepared = entry.value;
        if (prepared->statement->id == id)
            return prepared->statement;
    }
    return NULL;
}

/* The column's type and format; moves *at behind it. False: no more. */
static bool next_column(const char *body, size_t bytes, size_t *at, uint32_t *ret_type,
                        bool *ret_binary)
{
    const char *zero = *at < bytes ? memchr(body + *at, 0, bytes - *at) : NULL;
    if (zero == NULL || bytes - (size_t)(zero + 1 - body) < 18)
        return false;
    *ret_type = sy_u32_at(zero + 1 + 6, 0);
    *ret_binary = zero[1 + 17] != 0;
    *at = (size_t)(zero + 1 - body) + 18;
    return true;
}

void sy_part_rows_over(struct sy_part *part)
{
    free(part->row_map);
    part->row_map = NULL;
}

void sy_part_note_columns(struct sy_part *part, const char *body, size_t bytes)
{
    const struct sy_expect *head = sy_part_head(part);
    struct sy_value_map values = values_of(part, false);
    sy_part_rows_over(part);
    if (head == NULL || values.oids == NULL || bytes < 2)
        return;
    uint32_t type;
    bool binary, concerned = false;
    uint16_t count = (uint16_t)((uint8_t)body[0] << 8 | (uint8_t)body[1]), index = 0;
    struct sy_row_map *map = malloc(sizeof(*map) + count * sizeof(map->list[0]));
    if (map == NULL) {
        sy_session_end(part->session);
        return;
    }
    *map = (struct sy_row_map){.values = values, .columns = count};
    for (size_t at = 2; index < count && next_column(body, bytes, &at, &type, &binary); index++) {
        if (!sy_value_map_concerns(&values, type))
            continue;
        concerned = true;
        if (binary)
            map->list[map->count++] = (struct row_column){index, type};
    }
    struct sy_statement *statement =
        head->kind == SY_X_QUERY ? NULL : find_statement(part->session, head->statement_id);
    if (!concerned && statement != NULL)
        statement->plain_epoch = part->session->worker->epoch;
    /* Rows follow these columns at once; other Descriptions are the client's own affair. */
    if (map->count > 0 && (head->kind == SY_X_QUERY || head->why == SY_WHY_COLUMNS))
        part->row_map = map;
    else
        free(map);
}

void sy_part_map_row(const struct sy_part *part, char *body, size_t bytes)
{
    const struct sy_row_map *map = part->row_map;
    size_t at = 2;
    uint16_t next = 0;
    for (uint16_t column = 0; column < map->columns && next < map->count; column++) {
        if (bytes < at + 4)
            return;
        uint32_t length = sy_u32_at(body + at, 0);
        at += 4;
        if (length == UINT32_MAX)
            length = 0;
        if (length > bytes - at)
            return;
        if (map->list[next].index == column) {
            /* A type that shard 0 lacks becomes 0, as in the columns. */
            (void)sy_value_map_apply(&map->values, map->list[next].type, body + at, length);
            next++;
        }
        at += length;
    }
}

void sy_part_ask_columns(struct sy_part *part, const struct sy_portal *portal, struct sy_slice name)
{
    const struct sy_type_map *map = map_of(part);
    const struct sy_statement *statement = portal->statement;
    if (!portal->binary || map == NULL || map->type_count == 0)
        return;
    if (statement != NULL && statement->plain_epoch == part->session->worker->epoch)
        return;
    struct sy_buf *out = sy_session_scratch(part->session);
    sy_write_describe(out, 'P', name);
    sy_part_expect(part, SY_X_DESCRIBE_P, SY_WHY_COLUMNS, 0, statement == NULL ? 0 : statement->id);
    sy_part_send_copy(part, out->data, out->bytes);
}

/* ---- parameters ---- */

void sy_session_learn_parameters(struct sy_session *session, uint64_t statement_id,
                                 struct sy_slice body)
{
    const struct sy_topology_database *database = session->database->topology;
    if (database == NULL || database->inspected == NULL || database->shard_count < 2 ||
        body.bytes < 2)
        return;
    struct sy_statement *statement = find_statement(session, statement_id);
    uint16_t count = (uint16_t)((uint8_t)body.data[0] << 8 | (uint8_t)body.data[1]);
    if (statement == NULL || count == 0 || body.bytes < 2 + 4u * count)
        return;
    uint32_t *types = malloc(count * sizeof(*types));
    if (types == NULL)
        return; /* the server refuses what was not mapped */
    for (uint16_t i = 0; i < count; i++)
        types[i] = sy_u32_at(body.data + 2, i);
    free(statement->learned);
    statement->learned = types;
    statement->learned_count = count;
}

bool sy_part_maps_bind(const struct sy_part *part, const struct sy_bind_msg *bind)
{
    const struct sy_type_map *map = map_of(part);
    if (map == NULL || map->back_count == 0 || bind->format_count == 0)
        return false;
    for (uint16_t i = 0; i < bind->format_count; i++)
        if (bind->formats[2 * i + 1] != 0)
            return true;
    return false;
}

/* What is not known stays as it is: a server compares the OIDs inside with the type that it expects
 * (array_recv, record_recv), so nothing is taken for something else. */
static uint32_t parameter_type(const struct sy_statement *statement, uint16_t index)
{
    if (index < statement->type_count && statement->types[index] != 0)
        return statement->types[index];
    return index < statement->learned_count ? statement->learned[index] : 0;
}

void sy_part_map_bind(const struct sy_part *part, const struct sy_statement *statement, char *body,
                      size_t bytes)
{
    struct sy_bind_msg bind;
    struct sy_err err = {0};
    struct sy_value_map values = values_of(part, true);
    if (values.oids == NULL || sy_bind_read(body, bytes, &bind, &err) != SY_OK)
        return;
    size_t at = (size_t)(bind.parameters - body);
    for (uint16_t i = 0; i < bind.parameter_count; i++) {
        uint32_t length = sy_u32_at(body + at, 0);
        at += 4;
        if (length == UINT32_MAX)
            continue;
        uint16_t format_index = bind.format_count == 1 ? 0 : i;
        bool binary = format_index < bind.format_count && bind.formats[2 * format_index + 1] != 0;
        uint32_t type = parameter_type(statement, i);
        if (binary && type != 0 && sy_value_map_concerns(&values, type))
            (void)sy_value_map_apply(&values, type, body + at, length);
        at += length;
    }
}

struct sy_slice sy_part_map_value(const struct sy_part *part, const struct sy_statement *statement,
                                  uint16_t index, struct sy_slice value)
{
    struct sy_value_map values = values_of(part, true);
    uint32_t type = parameter_type(statement, index);
    if (values.oids == NULL || value.data == NULL || type == 0 ||
        !sy_value_map_concerns(&values, type))
        return value;
    char *copy = sy_arena_strndup(&part->session->worker->arena, value.data, value.bytes);
    if (copy == NULL)
        return value; /* the server refuses what was not mapped */
    (void)sy_value_map_apply(&values, type, copy, value.bytes);
    return (struct sy_slice){copy, value.bytes};
}

/* ---- COPY ---- */

static bool table_concerns(const struct sy_schema *schema, const struct sy_value_map *values,
                           struct sy_slice name)
{
    for (uint32_t i = 0; i < sy_schema_relation_count(schema); i++) {
        const struct sy_schema_relation *relation = sy_schema_relation(schema, i);
        for (uint32_t c = 0; c < relation->column_count && sy_slice_eq(relation->name, name); c++)
            if (sy_value_map_concerns(values, relation->columns[c].type_oid))
                return true;
    }
    return false;
}

enum sy_status sy_exec_check_copy(const struct sy_session *session, const struct sy_exec *exec,
                                  const struct sy_target *target, struct sy_err *err)
{
    const struct sy_topology_database *database = session->database->topology;
    const struct sy_topology_schema *inspected = database->inspected;
    const struct sy_stmt *stmt = exec->stmt;
    for (uint32_t i = 1; inspected != NULL && i < inspected->shard_count; i++) {
        const struct sy_type_map *map = &inspected->maps[i];
        struct sy_value_map values = {.oids = map, .shapes = &inspected->maps[0], .back = true};
        bool there = target->several ? sy_shard_set_has(&target->shards, i) : target->shard == i;
        if (!there || map->type_count == 0)
            continue;
        /* What a query gives is not known before it runs. */
        bool concerned = stmt->copy.is_query;
        for (int32_t t = 0; t < stmt->table_count && !concerned; t++)
            concerned = table_concerns(database->schema, &values, stmt->tables[t].name.name);
        if (!concerned)
            continue;
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "binary COPY of arrays, records or ranges of types that have other OIDs "
                         "on shard \"%.*s\" is not supported",
                         (int)database->shards[i].name.bytes, database->shards[i].name.data);
        sy_err_hint(err, "Use the text or csv format, or create the types in the same order on "
                         "every shard.");
        return SY_E_UNSUPPORTED;
    }
    return SY_OK;
}
