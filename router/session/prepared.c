/* Interned statements and the sets of them that servers have. One worker owns each. */
#include "router/session/prepared.h"

#include <stdlib.h>
#include <string.h>

/* ---- statements ---- */

static size_t key_bytes(const struct sy_statement_key *key)
{
    return sizeof(key->environment) + 1 + key->type_count * sizeof(uint32_t) +
           key->sql_types.bytes + 1 + key->text.bytes;
}

static void put(char **at, const void *data, size_t bytes)
{
    if (bytes > 0)
        memcpy(*at, data, bytes);
    *at += bytes;
}

/* One allocation: statement, types, key (environment, flag, types, sql types, zero, text). */
static struct sy_statement *build(const struct sy_statement_key *key)
{
    size_t bytes = key_bytes(key);
    size_t types_bytes = key->type_count * sizeof(uint32_t);
    struct sy_statement *made = malloc(sizeof(*made) + types_bytes + bytes + 1);
    if (made == NULL)
        return NULL;
    *made = (struct sy_statement){.refs = 1, .type_count = key->type_count, .by_sql = key->by_sql};
    made->types = (uint32_t *)(void *)(made + 1);
    if (types_bytes > 0)
        memcpy(made->types, key->types, types_bytes);
    char *start = (char *)made->types + types_bytes, *at = start;
    char flag = key->by_sql ? 's' : 'p';
    put(&at, &key->environment, sizeof(key->environment));
    put(&at, &flag, 1);
    put(&at, key->types, types_bytes);
    made->sql_types = (struct sy_slice){at, key->sql_types.bytes};
    put(&at, key->sql_types.data, key->sql_types.bytes);
    *at++ = 0;
    made->text = (struct sy_slice){at, key->text.bytes};
    put(&at, key->text.data, key->text.bytes);
    *at = 0;
    made->key = (struct sy_slice){start, (size_t)(at - start)};
    return made;
}

static enum sy_status attach_facts(struct sy_statement *made, struct sy_parser *parser,
                                   const struct sy_parse_settings *settings, struct sy_err *err)
{
    struct sy_scan scan;
    enum sy_status status =
        sy_parser_parse(parser, made->text, settings, &made->template, &scan, err);
    if (status != SY_OK)
        return status;
    if (made->template->facts->stmt_count > 1)
        return sy_err_set(err, SY_E_SYNTAX,
                          "cannot insert multiple commands into a prepared statement");
    made->scan = scan;
    made->scan.literals = NULL;
    if (scan.literal_count == 0)
        return SY_OK;
    struct sy_literal *copy = malloc(scan.literal_count * sizeof(*copy));
    if (copy == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    memcpy(copy, scan.literals, scan.literal_count * sizeof(*copy));
    made->scan.literals = copy;
    return SY_OK;
}

static void free_statement(struct sy_statement *gone, struct sy_parser *parser)
{
    if (gone->template != NULL)
        sy_template_unref(parser, gone->template);
    free((void *)(uintptr_t)gone->scan.literals);
    free(gone->learned);
    free(gone);
}

enum sy_status sy_statement_intern(struct sy_statement_registry *registry,
                                   const struct sy_statement_key *key,
                                   const struct sy_parse_settings *settings,
                                   struct sy_statement **ret_statement, struct sy_err *err)
{
    struct sy_statement *made = build(key);
    if (made == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    struct sy_statement *known = sy_map_get(&registry->statements, made->key);
    if (known != NULL) {
        free(made);
        *ret_statement = sy_statement_ref(known);
        return SY_OK;
    }
    enum sy_status status = attach_facts(made, registry->parser, settings, err);
    if (status == SY_OK)
        status = sy_map_put(&registry->statements, made->key, made, NULL, err);
    if (status != SY_OK) {
        free_statement(made, registry->parser);
        return status;
    }
    made->registry = registry;
    made->id = ++registry->last_id;
    *ret_statement = made;
    return SY_OK;
}

void sy_statement_unref(struct sy_statement **statement)
{
    struct sy_statement *gone = *statement;
    *statement = NULL;
    if (gone == NULL || --gone->refs > 0)
        return;
    (void)sy_map_remove(&gone->registry->statements, gone->key);
    sy_statement_unref(&gone->rewritten);
    free_statement(gone, gone->registry->parser);
}

void sy_statement_learn_from(struct sy_statement *statement, const struct sy_statement *from)
{
    size_t bytes = from->learned_count * sizeof(*from->learned);
    if (from->learned == NULL || statement->learned != NULL || bytes == 0)
        return;
    statement->learned = malloc(bytes);
    if (statement->learned == NULL)
        return; /* as if never told */
    memcpy(statement->learned, from->learned, bytes);
    statement->learned_count = from->learned_count;
}

void sy_statement_registry_release(struct sy_statement_registry *registry)
{
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&registry->statements, &at, &entry);)
        free_statement(entry.value, registry->parser);
    sy_map_release(&registry->statements);
}

uint32_t sy_statement_name(uint64_t id, char buffer[static SY_STATEMENT_NAME_BYTES])
{
    /* Written for every Bind: snprintf() would be the dearest part of it. */
    char digits[20];
    uint32_t count = 0, bytes = 3;
    memcpy(buffer, "sy_", bytes);
    do
        digits[count++] = (char)('0' + id % 10);
    while ((id /= 10) > 0);
    while (count > 0)
        buffer[bytes++] = digits[--count];
    buffer[bytes] = '\0';
    return bytes;
}

/* ---- sets ---- */

static struct sy_slice id_key(const uint64_t *id)
{
    return (struct sy_slice){(const char *)id, sizeof(*id)};
}

static void ready(struct sy_prepared_set *set)
{
    if (set->ready)
        return;
    sy_list_init(&set->used);
    set->ready = true;
}

void sy_prepared_set_clear(struct sy_prepared_set *set)
{
    ready(set);
    struct sy_list *node;
    while ((node = sy_list_pop(&set->used)) != NULL)
        free(sy_container_of(node, struct sy_prepared_entry, link));
    sy_map_clear(&set->entries);
}

void sy_prepared_set_release(struct sy_prepared_set *set)
{
    sy_prepared_set_clear(set);
    sy_map_release(&set->entries);
}

uint32_t sy_prepared_set_count(const struct sy_prepared_set *set)
{
    return set->entries.count;
}

bool sy_prepared_set_touch(struct sy_prepared_set *set, uint64_t id)
{
    struct sy_prepared_entry *entry = sy_map_get(&set->entries, id_key(&id));
    if (entry == NULL || entry->closing)
        return false;
    if (set->used.prev != &entry->link) {
        sy_list_remove(&entry->link);
        sy_list_append(&set->used, &entry->link);
    }
    return true;
}

enum sy_status sy_prepared_set_add(struct sy_prepared_set *set, uint64_t id, struct sy_err *err)
{
    ready(set);
    struct sy_prepared_entry *entry = sy_map_get(&set->entries, id_key(&id));
    if (entry != NULL) {
        /* Prepared again behind its Close in the same pipeline: the answer to that Close is no
         * news. */
        entry->closing = false;
        return SY_OK;
    }
    entry = malloc(sizeof(*entry));
    if (entry == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *entry = (struct sy_prepared_entry){.id = id};
    enum sy_status status = sy_map_put(&set->entries, id_key(&entry->id), entry, NULL, err);
    if (status != SY_OK) {
        free(entry);
        return status;
    }
    sy_list_append(&set->used, &entry->link);
    return SY_OK;
}

void sy_prepared_set_remove(struct sy_prepared_set *set, uint64_t id)
{
    struct sy_prepared_entry *entry = sy_map_remove(&set->entries, id_key(&id));
    if (entry == NULL)
        return;
    sy_list_remove(&entry->link);
    free(entry);
}

bool sy_prepared_set_evict(struct sy_prepared_set *set, uint64_t *ret_id)
{
    ready(set);
    sy_list_each(node, &set->used)
    {
        struct sy_prepared_entry *entry = sy_container_of(node, struct sy_prepared_entry, link);
        if (entry->closing)
            continue;
        entry->closing = true;
        *ret_id = entry->id;
        return true;
    }
    return false;
}

void sy_prepared_set_closed(struct sy_prepared_set *set, uint64_t id)
{
    struct sy_prepared_entry *entry = sy_map_get(&set->entries, id_key(&id));
    if (entry != NULL && entry->closing)
        sy_prepared_set_remove(set, id);
}

void sy_prepared_set_keep(struct sy_prepared_set *set, uint64_t id)
{
    struct sy_prepared_entry *entry = sy_map_get(&set->entries, id_key(&id));
    if (entry != NULL)
        entry->closing = false;
}
