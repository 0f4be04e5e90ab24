/* Interned sets of session settings. One worker owns each registry. */
#include "router/session/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"

static int name_order(struct sy_slice a, struct sy_slice b)
{
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = bytes == 0 ? 0 : memcmp(a.data, b.data, bytes);
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static size_t texts_bytes(const struct sy_setting *entries, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += entries[i].name.bytes + entries[i].sql.bytes + entries[i].value.bytes + 3;
    return bytes;
}

static struct sy_slice copy_text(char **at, struct sy_slice text)
{
    struct sy_slice copy = {*at, text.bytes};
    if (text.bytes > 0)
        memcpy(*at, text.data, text.bytes);
    *at += text.bytes;
    *(*at)++ = 0;
    if (text.data == NULL)
        copy.data = NULL;
    return copy;
}

/* Finds or makes the set of these sorted entries. */
static struct sy_settings *intern(struct sy_settings_registry *registry,
                                  const struct sy_setting *entries, uint32_t count,
                                  struct sy_err *err)
{
    size_t bytes = texts_bytes(entries, count);
    struct sy_settings *set = malloc(sizeof(*set) + count * sizeof(entries[0]) + bytes + 1);
    if (set == NULL) {
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    *set = (struct sy_settings){.registry = registry, .refs = 1, .count = count};
    char *start = (char *)&set->entries[count], *at = start;
    for (uint32_t i = 0; i < count; i++) {
        set->entries[i].name = copy_text(&at, entries[i].name);
        set->entries[i].sql = copy_text(&at, entries[i].sql);
        set->entries[i].value = copy_text(&at, entries[i].value);
    }
    *at++ = 'x'; /* so that the empty set has a key too */
    set->key = (struct sy_slice){start, (size_t)(at - start)};
    struct sy_settings *known = sy_map_get(&registry->sets, set->key);
    if (known != NULL) {
        free(set);
        return sy_settings_ref(known);
    }
    if (sy_map_put(&registry->sets, set->key, set, NULL, err) != SY_OK) {
        free(set);
        return NULL;
    }
    set->id = count == 0 ? 0 : ++registry->last_id;
    set->proven = count == 0;
    return set;
}

void sy_settings_registry_release(struct sy_settings_registry *registry)
{
    sy_map_release_values(&registry->sets);
}

struct sy_settings *sy_settings_empty(struct sy_settings_registry *registry, struct sy_err *err)
{
    return intern(registry, NULL, 0, err);
}

void sy_settings_unref(struct sy_settings **set)
{
    struct sy_settings *gone = *set;
    *set = NULL;
    if (gone == NULL || --gone->refs > 0)
        return;
    (void)sy_map_remove(&gone->registry->sets, gone->key);
    free(gone);
}

const struct sy_setting *sy_settings_find(const struct sy_settings *set, struct sy_slice name)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (sy_slice_eq(set->entries[i].name, name))
            return &set->entries[i];
    return NULL;
}

static struct sy_settings *rebuild(const struct sy_settings *base, struct sy_slice name,
                                   const struct sy_setting *setting, struct sy_err *err)
{
    struct sy_setting entries[SY_SETTINGS_MAX];
    uint32_t count = 0;
    bool placed = setting == NULL;
    for (uint32_t i = 0; i < base->count; i++) {
        int order = name_order(base->entries[i].name, name);
        if (!placed && order >= 0) {
            entries[count++] = *setting;
            placed = true;
        }
        if (order == 0)
            continue;
        if (count == SY_SETTINGS_MAX)
            break;
        entries[count++] = base->entries[i];
    }
    if (!placed && count < SY_SETTINGS_MAX) {
        entries[count++] = *setting;
        placed = true;
    }
    if (!placed || count == SY_SETTINGS_MAX) {
        (void)sy_err_set(err, SY_E_RATE, "too many settings in one session");
        return NULL;
    }
    return intern(base->registry, entries, count, err);
}

struct sy_settings *sy_settings_with(const struct sy_settings *base,
                                     const struct sy_setting *setting, struct sy_err *err)
{
    if (setting->sql.bytes > SY_SETTINGS_SQL_BYTES_MAX) {
        (void)sy_err_set(err, SY_E_LIMIT, "the value of \"%.*s\" is too long to be kept",
                         (int)setting->name.bytes, setting->name.data);
        return NULL;
    }
    return rebuild(base, setting->name, setting, err);
}

struct sy_settings *sy_settings_without(const struct sy_settings *base, struct sy_slice name,
                                        struct sy_err *err)
{
    return rebuild(base, name, NULL, err);
}

static void put_reset(struct sy_buf *out, struct sy_slice name)
{
    if (sy_slice_eq(name, SY_SLICE("session_authorization"))) {
        sy_buf_append_str(out, "RESET SESSION AUTHORIZATION;");
        return;
    }
    sy_buf_append_str(out, "RESET ");
    bool quoted = false;
    for (size_t i = 0; i < name.bytes; i++) {
        if (name.data[i] == '.') { /* custom settings have a dot between two identifiers */
            sy_buf_append_str(out, quoted ? "\"." : ".");
            quoted = false;
            continue;
        }
        if (!quoted)
            sy_buf_append_u8(out, '"');
        quoted = true;
        if (name.data[i] == '"')
            sy_buf_append_u8(out, '"');
        sy_buf_append_u8(out, (uint8_t)name.data[i]);
    }
    sy_buf_append_str(out, quoted ? "\";" : ";");
}

static bool same_sql(const struct sy_setting *a, const struct sy_setting *b)
{
    return a == b || (a != NULL && b != NULL && sy_slice_eq(a->sql, b->sql));
}

static void put_set(struct sy_buf *out, const struct sy_setting *setting)
{
    if (setting == NULL)
        return;
    sy_buf_append_slice(out, setting->sql);
    sy_buf_append_u8(out, ';');
}

/*
 * The order matters: another session user undoes the role, and the settings are set as the user who
 * logged in (a role may not be allowed to).
 */
void sy_settings_diff(const struct sy_settings *have, const struct sy_settings *want,
                      struct sy_buf *out)
{
    static const struct sy_slice user = {"session_authorization", 21}, role = {"role", 4};
    size_t before = out->bytes;
    const struct sy_setting *had_user = sy_settings_find(have, user),
                            *had_role = sy_settings_find(have, role);
    bool identity = !same_sql(had_user, sy_settings_find(want, user)) ||
                    !same_sql(had_role, sy_settings_find(want, role));
    if (identity && had_user != NULL)
        put_reset(out, user);
    if (identity && had_role != NULL)
        put_reset(out, role);
    for (uint32_t i = 0; i < have->count; i++) {
        struct sy_slice name = have->entries[i].name;
        if (sy_slice_eq(name, user) || sy_slice_eq(name, role))
            continue;
        if (sy_settings_find(want, name) == NULL)
            put_reset(out, name);
    }
    for (uint32_t i = 0; i < want->count; i++) {
        const struct sy_setting *entry = &want->entries[i];
        if (sy_slice_eq(entry->name, user) || sy_slice_eq(entry->name, role))
            continue;
        if (!same_sql(sy_settings_find(have, entry->name), entry))
            put_set(out, entry);
    }
    if (identity) {
        put_set(out, sy_settings_find(want, user));
        put_set(out, sy_settings_find(want, role));
    }
    if (out->bytes > before)
        out->bytes--; /* the last semicolon */
}

bool sy_settings_next_name(struct sy_slice *list, char *buffer, struct sy_slice *ret_name)
{
    const char *at = list->data, *end = list->data + list->bytes;
    while (at < end && (isspace((unsigned char)*at) || *at == ','))
        at++;
    if (at == end)
        return false;
    size_t bytes = 0;
    bool quoted = *at == '"';
    if (quoted)
        at++;
    for (; at < end; at++) {
        if (quoted && *at == '"') {
            if (at + 1 == end || at[1] != '"')
                break;
            at++;
        } else if (!quoted && (*at == ',' || isspace((unsigned char)*at))) {
            break;
        }
        if (bytes < SY_LIMIT_NAME_BYTES)
            buffer[bytes++] = quoted ? *at : (char)tolower((unsigned char)*at);
    }
    if (quoted && at < end)
        at++;
    buffer[bytes] = 0;
    *list = (struct sy_slice){at, (size_t)(end - at)};
    *ret_name = (struct sy_slice){buffer, bytes};
    return true;
}

static void put_quoted(struct sy_buf *out, struct sy_slice value)
{
    bool escape = value.bytes > 0 && memchr(value.data, '\\', value.bytes) != NULL;
    sy_buf_append_str(out, escape ? "E'" : "'");
    for (size_t i = 0; i < value.bytes; i++) {
        if (value.data[i] == '\'' || value.data[i] == '\\')
            sy_buf_append_u8(out, (uint8_t)value.data[i]);
        sy_buf_append_u8(out, (uint8_t)value.data[i]);
    }
    sy_buf_append_u8(out, '\'');
}

/* Settings whose value PostgreSQL reads as a list of identifiers. */
static bool is_name_list(struct sy_slice name)
{
    static const char *const lists[] = {"search_path", "temp_tablespaces",
                                        "local_preload_libraries", "session_preload_libraries"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (sy_slice_eq(name, sy_slice_of(lists[i])))
            return true;
    return false;
}

void sy_settings_startup_sql(struct sy_slice name, struct sy_slice value, struct sy_buf *out)
{
    sy_buf_append_str(out, "SET ");
    sy_buf_append_slice(out, name);
    sy_buf_append_str(out, " TO ");
    if (!is_name_list(name) || value.bytes == 0) {
        put_quoted(out, value);
        return;
    }
    char buffer[SY_LIMIT_NAME_BYTES + 1];
    struct sy_slice item;
    bool first = true;
    while (sy_settings_next_name(&value, buffer, &item)) {
        if (!first)
            sy_buf_append_str(out, ", ");
        first = false;
        put_quoted(out, item);
    }
}
