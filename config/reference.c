/* What the table of keys tells people: the reference documentation and the rows of SHOW CONFIG. */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "config/internal.h"

static const char *kind_word(enum sy_key_kind kind)
{
    static const char *const words[] = {
        [SY_KEY_IS_STRING] = "string",
        [SY_KEY_IS_UINT32] = "number",
        [SY_KEY_IS_PORT] = "port",
        [SY_KEY_IS_BOOL] = "true/false",
        [SY_KEY_IS_SIZE] = "size",
        [SY_KEY_IS_DURATION] = "duration",
        [SY_KEY_IS_WORD] = "word",
        [SY_KEY_IS_GROUP] = "group",
        [SY_KEY_IS_GROUPS] = "list of groups",
        [SY_KEY_IS_STRINGS] = "array of strings",
        [SY_KEY_IS_QNAMES] = "array of table names",
    };
    return words[kind];
}

static void write_rows(struct sy_buf *out, const struct sy_key_row *rows, const char *path)
{
    sy_buf_append_str(out, "| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (const struct sy_key_row *row = rows; row->name != NULL; row++) {
        sy_buf_printf(out, "| `%s%s` | %s | ", path, row->name, kind_word(row->kind));
        if (row->default_text != NULL)
            sy_buf_printf(out, "`%s`", row->default_text);
        else
            sy_buf_append_str(out, row->required ? "required" : "");
        sy_buf_printf(out, " | %s", row->about);
        for (const struct sy_key_word *word = row->words; word != NULL && word->word != NULL;
             word++)
            sy_buf_printf(out, "%s`%s`", word == row->words ? " One of " : ", ", word->word);
        sy_buf_append_str(out, row->needs_restart ? " (needs a restart) |\n" : " |\n");
    }
    for (const struct sy_key_row *row = rows; row->name != NULL; row++) {
        if (row->children == NULL)
            continue;
        char deeper[256];
        snprintf(deeper, sizeof(deeper), "%s%s%s", path, row->name,
                 row->kind == SY_KEY_IS_GROUPS ? "[]." : ".");
        sy_buf_printf(out, "\n## `%s%s`\n\n", path, row->name);
        write_rows(out, row->children, deeper);
    }
}

void sy_config_write_reference(struct sy_buf *out)
{
    sy_buf_append_str(
        out, "# Configuration reference\n\nPrinted by `switchyard config reference` from the table "
             "that reads the file. Sizes and durations are strings with a unit (`\"64MB\"`, "
             "`\"30s\"`); an unknown key is an error.\n\n");
    write_rows(out, sy_config_keys, "");
}

struct setting_walk {
    void (*row)(void *ctx, const char *key, const char *value, const char *default_value,
                bool changeable);
    void *ctx;
};

static const char *value_text(const struct sy_key_row *row, const void *base, char *buffer,
                              size_t bytes)
{
    const char *field = (const char *)base + row->offset;
    switch (row->kind) {
    case SY_KEY_IS_STRING: {
        const char *text = *(const char *const *)(const void *)field;
        return text != NULL ? text : "";
    }
    case SY_KEY_IS_UINT32:
        snprintf(buffer, bytes, "%u", *(const uint32_t *)(const void *)field);
        return buffer;
    case SY_KEY_IS_PORT:
        snprintf(buffer, bytes, "%u", (unsigned)*(const uint16_t *)(const void *)field);
        return buffer;
    case SY_KEY_IS_BOOL:
        return *(const bool *)(const void *)field ? "true" : "false";
    case SY_KEY_IS_SIZE:
        return sy_number_format_size(*(const uint32_t *)(const void *)field, buffer);
    case SY_KEY_IS_DURATION:
        return sy_number_format_duration(*(const uint64_t *)(const void *)field, buffer);
    case SY_KEY_IS_WORD:
        for (const struct sy_key_word *word = row->words; word->word != NULL; word++) {
            if (word->value == *(const int *)(const void *)field)
                return word->word;
        }
        return "";
    case SY_KEY_IS_GROUP:
    case SY_KEY_IS_GROUPS:
    case SY_KEY_IS_STRINGS:
    case SY_KEY_IS_QNAMES:
        break;
    }
    return "";
}

static void walk(const struct setting_walk *walker, const struct sy_key_row *rows, const void *base,
                 const char *path)
{
    for (const struct sy_key_row *row = rows; row->name != NULL; row++) {
        char key[256], buffer[64];
        snprintf(key, sizeof(key), "%s%s", path, row->name);
        if (row->kind == SY_KEY_IS_GROUP) {
            snprintf(key, sizeof(key), "%s%s.", path, row->name);
            walk(walker, row->children, base, key);
        } else if (row->kind != SY_KEY_IS_GROUPS && row->kind != SY_KEY_IS_STRINGS &&
                   row->kind != SY_KEY_IS_QNAMES && !row->secret && row->offset != SIZE_MAX) {
            walker->row(walker->ctx, key, value_text(row, base, buffer, sizeof(buffer)),
                        row->default_text != NULL ? row->default_text : "", !row->needs_restart);
        }
    }
}

void sy_config_each_setting(const struct sy_config *config,
                            void (*row)(void *ctx, const char *key, const char *value,
                                        const char *default_value, bool changeable),
                            void *ctx)
{
    const struct setting_walk walker = {row, ctx};
    walk(&walker, sy_config_keys, config, "");
}
