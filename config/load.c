/*
 * Reads a configuration file by the table of keys (config/keys.c). Problems do not stop the
 * reading: all are reported at once, each with file:line and a hint. What one key can't say (names
 * that must exist, ranges in order) is checked afterwards by config/check.c.
 */
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "config/config.h"
#include "config/internal.h"
#include "config/keys.h"

enum { READ_BYTES = 16384, FILE_BYTES_MAX = 1 << 20 };

void sy_config_problem(struct sy_config_reading *reading, const config_setting_t *setting,
                       const char *format, ...)
{
    va_list args;
    char text[512];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    unsigned line = setting != NULL ? config_setting_source_line(setting) : 0;
    if (line != 0)
        sy_buf_printf(reading->problems, "%s:%u: %s\n", reading->name, line, text);
    else
        sy_buf_printf(reading->problems, "%s: %s\n", reading->name, text);
    reading->problem_count++;
}

static void *field_at(void *base, size_t offset)
{
    return (char *)base + offset;
}

static const char *keep(struct sy_config_reading *reading, const char *text)
{
    char *copy = sy_arena_strdup(&reading->config->arena, text);
    if (copy == NULL)
        reading->no_memory = true;
    return copy;
}

static const char *kind_text(enum sy_key_kind kind)
{
    static const char *const texts[] = {
        [SY_KEY_IS_STRING] = "a string in double quotes",
        [SY_KEY_IS_UINT32] = "a whole number",
        [SY_KEY_IS_PORT] = "a port number",
        [SY_KEY_IS_BOOL] = "true or false",
        [SY_KEY_IS_SIZE] = "a size with its unit in quotes, as in \"64MB\"",
        [SY_KEY_IS_DURATION] = "a duration with its unit in quotes, as in \"30s\"",
        [SY_KEY_IS_WORD] = "one of a few words in double quotes",
        [SY_KEY_IS_GROUP] = "a group: { key = value; }",
        [SY_KEY_IS_GROUPS] = "a list of groups: ( { ... }, { ... } )",
        [SY_KEY_IS_STRINGS] = "an array of strings: [ \"a\", \"b\" ]",
        [SY_KEY_IS_QNAMES] = "an array of table names: [ \"a\", \"schema.b\" ]",
    };
    return texts[kind];
}

static void wrong_type(struct sy_config_reading *reading, const struct sy_key_row *row,
                       const config_setting_t *setting)
{
    sy_config_problem(reading, setting, "\"%s\" must be %s", row->name, kind_text(row->kind));
}

static void word_list(const struct sy_key_word *words, char *out, size_t bytes)
{
    size_t used = 0;
    for (size_t i = 0; words[i].word != NULL && used < bytes; i++)
        used +=
            (size_t)snprintf(out + used, bytes - used, "%s%s", i == 0 ? "" : ", ", words[i].word);
}

static bool within(const struct sy_key_row *row, uint64_t value, uint64_t type_most)
{
    uint64_t most = row->most != 0 ? row->most : type_most;
    return value >= row->least && value <= most;
}

/* Integers are read in 64 bits only: libconfig 1.5 wraps a larger one silently in its 32-bit
 * reader. */
static void read_number(struct sy_config_reading *reading, const struct sy_key_row *row,
                        const config_setting_t *setting, void *base)
{
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
        wrong_type(reading, row, setting);
        return;
    }
    uint64_t type_most = row->kind == SY_KEY_IS_PORT ? UINT16_MAX : UINT32_MAX;
    long long value = config_setting_get_int64(setting);
    if (value < 0 || !within(row, (uint64_t)value, type_most)) {
        sy_config_problem(reading, setting, "\"%s\" is %lld; it must lie between %llu and %llu",
                          row->name, value, (unsigned long long)row->least,
                          (unsigned long long)(row->most != 0 ? row->most : type_most));
        return;
    }
    if (row->kind == SY_KEY_IS_PORT)
        *(uint16_t *)field_at(base, row->offset) = (uint16_t)value;
    else
        *(uint32_t *)field_at(base, row->offset) = (uint32_t)value;
}

/* Sizes, durations, words and strings share one path, since defaults are given as text too. */
static bool store_text(struct sy_config_reading *reading, const struct sy_key_row *row,
                       const char *text, void *base, char *ret_why, size_t why_bytes)
{
    void *field = field_at(base, row->offset);
    uint64_t number = 0;
    struct sy_err err;
    if (row->kind == SY_KEY_IS_STRING) {
        *(const char **)field = keep(reading, text);
        return true;
    }
    if (row->kind == SY_KEY_IS_WORD) {
        for (const struct sy_key_word *word = row->words; word->word != NULL; word++) {
            if (strcmp(word->word, text) == 0) {
                *(int *)field = word->value;
                return true;
            }
        }
        char words[300];
        word_list(row->words, words, sizeof(words));
        snprintf(ret_why, why_bytes, "\"%s\" is \"%s\"; it must be one of: %s", row->name, text,
                 words);
        return false;
    }
    enum sy_status status = row->kind == SY_KEY_IS_SIZE
                                ? sy_number_parse_size(sy_slice_of(text), &number, &err)
                                : sy_number_parse_duration(sy_slice_of(text), &number, &err);
    uint64_t type_most = row->kind == SY_KEY_IS_SIZE ? UINT32_MAX : UINT64_C(1) << 53;
    if (status != SY_OK) {
        snprintf(ret_why, why_bytes, "\"%s\" must be %s: %.300s", row->name, kind_text(row->kind),
                 err.text);
        return false;
    }
    if (!within(row, number, type_most)) {
        snprintf(ret_why, why_bytes, "\"%s\" is \"%s\": out of range", row->name, text);
        return false;
    }
    if (row->kind == SY_KEY_IS_SIZE)
        *(uint32_t *)field = (uint32_t)number;
    else
        *(uint64_t *)field = number;
    return true;
}

static void read_text(struct sy_config_reading *reading, const struct sy_key_row *row,
                      const config_setting_t *setting, void *base)
{
    char why[1024];
    if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
        wrong_type(reading, row, setting);
        return;
    }
    const char *text = config_setting_get_string(setting);
    if (row->offset == SIZE_MAX)
        sy_config_read_special(reading, row->name, text, setting, base);
    else if (!store_text(reading, row, text, base, why, sizeof(why)))
        sy_config_problem(reading, setting, "%s", why);
}

static void read_strings(struct sy_config_reading *reading, const struct sy_key_row *row,
                         const config_setting_t *setting, void *base)
{
    if (!config_setting_is_array(setting) && !config_setting_is_list(setting)) {
        wrong_type(reading, row, setting);
        return;
    }
    int count = config_setting_length(setting);
    const char **texts =
        sy_arena_calloc(&reading->config->arena, (size_t)count + 1, sizeof(*texts));
    if (texts == NULL) {
        reading->no_memory = true;
        return;
    }
    if (row->elements_max != 0 && (uint32_t)count > row->elements_max)
        sy_config_problem(reading, setting, "\"%s\" has %d entries; at most %u are possible",
                          row->name, count, row->elements_max);
    for (int i = 0; i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        const char *text = config_setting_get_string(element);
        if (text == NULL)
            wrong_type(reading, row, element);
        texts[i] = keep(reading, text != NULL ? text : "");
    }
    *(const char ***)field_at(base, row->offset) = texts;
    *(uint32_t *)field_at(base, row->count_offset) = (uint32_t)count;
}

static void read_qnames(struct sy_config_reading *reading, const struct sy_key_row *row,
                        const config_setting_t *setting, void *base)
{
    struct {
        const char **texts;
        uint32_t count;
    } names = {NULL, 0};
    struct sy_key_row as_strings = *row;
    as_strings.offset = 0;
    as_strings.count_offset = sizeof(const char **);
    read_strings(reading, &as_strings, setting, &names);
    struct sy_config_reference_table *tables =
        sy_arena_calloc(&reading->config->arena, (size_t)names.count + 1, sizeof(*tables));
    if (tables == NULL) {
        reading->no_memory = true;
        return;
    }
    for (uint32_t i = 0; i < names.count; i++) {
        sy_config_split_name(reading, names.texts[i], &tables[i].schema, &tables[i].name);
        tables[i].origin.line =
            config_setting_source_line(config_setting_get_elem(setting, (unsigned)i));
    }
    *(struct sy_config_reference_table **)field_at(base, row->offset) = tables;
    *(uint32_t *)field_at(base, row->count_offset) = names.count;
}

static void read_group(struct sy_config_reading *reading, const struct sy_key_row *rows,
                       const config_setting_t *group, void *base);

static void read_groups(struct sy_config_reading *reading, const struct sy_key_row *row,
                        const config_setting_t *setting, void *base)
{
    if (!config_setting_is_list(setting)) {
        wrong_type(reading, row, setting);
        return;
    }
    int count = config_setting_length(setting);
    char *elements =
        sy_arena_calloc(&reading->config->arena, (size_t)count + 1, row->element_bytes);
    if (elements == NULL) {
        reading->no_memory = true;
        return;
    }
    if (row->elements_max != 0 && (uint32_t)count > row->elements_max) {
        sy_config_problem(reading, setting, "\"%s\" has %d entries; at most %u are possible",
                          row->name, count, row->elements_max);
        count = (int)row->elements_max;
    }
    for (int i = 0; i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        char *place = elements + (size_t)i * row->element_bytes;
        if (row->origin_offset != 0)
            ((struct sy_config_origin *)field_at(place, row->origin_offset))->line =
                config_setting_source_line(element);
        if (config_setting_is_group(element))
            read_group(reading, row->children, element, place);
        else
            sy_config_problem(reading, element, "every entry of \"%s\" must be a group: { ... }",
                              row->name);
    }
    *(char **)field_at(base, row->offset) = elements;
    *(uint32_t *)field_at(base, row->count_offset) = (uint32_t)count;
}

static void read_setting(struct sy_config_reading *reading, const struct sy_key_row *row,
                         const config_setting_t *setting, void *base)
{
    switch (row->kind) {
    case SY_KEY_IS_UINT32:
    case SY_KEY_IS_PORT:
        read_number(reading, row, setting, base);
        break;
    case SY_KEY_IS_BOOL:
        if (config_setting_type(setting) == CONFIG_TYPE_BOOL)
            *(bool *)field_at(base, row->offset) = config_setting_get_bool(setting) != 0;
        else
            wrong_type(reading, row, setting);
        break;
    case SY_KEY_IS_STRING:
    case SY_KEY_IS_SIZE:
    case SY_KEY_IS_DURATION:
    case SY_KEY_IS_WORD:
        read_text(reading, row, setting, base);
        break;
    case SY_KEY_IS_GROUP:
        if (config_setting_is_group(setting))
            read_group(reading, row->children, setting, base);
        else
            wrong_type(reading, row, setting);
        break;
    case SY_KEY_IS_GROUPS:
        read_groups(reading, row, setting, base);
        break;
    case SY_KEY_IS_STRINGS:
        read_strings(reading, row, setting, base);
        break;
    case SY_KEY_IS_QNAMES:
        read_qnames(reading, row, setting, base);
        break;
    }
}

static void store_default(struct sy_config_reading *reading, const struct sy_key_row *row,
                          void *base)
{
    char why[1024];
    if (row->kind == SY_KEY_IS_GROUP) {
        sy_config_set_defaults(reading, row->children, base);
        return;
    }
    if (row->default_text == NULL || row->offset == SIZE_MAX)
        return;
    if (row->kind == SY_KEY_IS_UINT32)
        *(uint32_t *)field_at(base, row->offset) = (uint32_t)strtoul(row->default_text, NULL, 10);
    else if (row->kind == SY_KEY_IS_PORT)
        *(uint16_t *)field_at(base, row->offset) = (uint16_t)strtoul(row->default_text, NULL, 10);
    else if (row->kind == SY_KEY_IS_BOOL)
        *(bool *)field_at(base, row->offset) = strcmp(row->default_text, "true") == 0;
    else if (!store_text(reading, row, row->default_text, base, why, sizeof(why)))
        sy_config_problem(reading, NULL, "built-in default: %s", why);
}

void sy_config_set_defaults(struct sy_config_reading *reading, const struct sy_key_row *rows,
                            void *base)
{
    for (const struct sy_key_row *row = rows; row->name != NULL; row++)
        store_default(reading, row, base);
}

static const struct sy_key_row *find_row(const struct sy_key_row *rows, const char *name)
{
    for (const struct sy_key_row *row = rows; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

static void unknown_key(struct sy_config_reading *reading, const struct sy_key_row *rows,
                        const config_setting_t *setting)
{
    char known[400];
    size_t used = 0;
    known[0] = '\0';
    for (const struct sy_key_row *row = rows; row->name != NULL && used < sizeof(known); row++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used == 0 ? "" : ", ",
                                 row->name);
    sy_config_problem(reading, setting, "unknown key \"%s\"; known here: %s",
                      config_setting_name(setting), known);
}

static void read_group(struct sy_config_reading *reading, const struct sy_key_row *rows,
                       const config_setting_t *group, void *base)
{
    sy_config_set_defaults(reading, rows, base);
    int count = config_setting_length(group);
    for (int i = 0; i < count; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const struct sy_key_row *row = find_row(rows, config_setting_name(setting));
        if (row != NULL)
            read_setting(reading, row, setting, base);
        else
            unknown_key(reading, rows, setting);
    }
    for (const struct sy_key_row *row = rows; row->name != NULL; row++) {
        if (row->required && config_setting_get_member(group, row->name) == NULL)
            sy_config_problem(reading, group, "\"%s\" is missing; it is %s", row->name,
                              kind_text(row->kind));
    }
}

static enum sy_status finish(struct sy_config_reading *reading, struct sy_config **ret_config,
                             struct sy_err *err)
{
    struct sy_config *config = reading->config;
    if (reading->problem_count == 0 && !reading->no_memory)
        sy_config_check(reading);
    if (reading->no_memory || reading->problems->failed) {
        sy_config_unref(&config);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while reading %s", reading->name);
    }
    if (reading->problem_count > 0) {
        sy_config_unref(&config);
        sy_err_set(err, SY_E_CONFIG, "%s has %u problem%s", reading->name, reading->problem_count,
                   reading->problem_count == 1 ? "" : "s");
        sy_err_hint(err, "Mend what is listed, then run: switchyard config check %s",
                    reading->name);
        return SY_E_CONFIG;
    }
    *ret_config = config;
    return SY_OK;
}

static struct sy_config *new_config(void)
{
    struct sy_config *config = calloc(1, sizeof(*config));
    if (config != NULL)
        config->refs = 1;
    return config;
}

static void read_parsed(struct sy_config_reading *reading, const char *text)
{
    config_t file;
    config_init(&file);
    if (config_read_string(&file, text) == CONFIG_TRUE) {
        read_group(reading, sy_config_keys, config_root_setting(&file), reading->config);
    } else {
        reading->problem_count++;
        sy_buf_printf(reading->problems,
                      "%s:%d: %s; settings are written key = value; groups in { }, lists in ( )\n",
                      reading->name, config_error_line(&file), config_error_text(&file));
    }
    config_destroy(&file);
}

enum sy_status sy_config_parse(const char *text, const char *name, struct sy_config **ret_config,
                               struct sy_buf *problems, struct sy_err *err)
{
    struct sy_config_reading reading = {.name = name, .problems = problems, .config = new_config()};
    if (reading.config == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while reading %s", name);
    reading.config->path = keep(&reading, name);
    struct sy_buf wide = {0};
    bool too_wide, includes;
    sy_config_widen_integers(text, &wide, &too_wide, &includes);
    if (too_wide)
        sy_config_problem(&reading, NULL, "a number has more digits than 64 bits hold");
    if (includes)
        sy_config_problem(&reading, NULL,
                          "@include is not supported; keep the configuration in one file");
    if (wide.failed)
        reading.no_memory = true;
    else if (reading.problem_count == 0)
        read_parsed(&reading, wide.data);
    sy_buf_release(&wide);
    return finish(&reading, ret_config, err);
}

enum sy_status sy_config_read_file(const char *path, struct sy_buf *text, struct sy_err *err)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        sy_err_set_errno(err, SY_E_CONFIG, errno, "cannot read %s: %s", path, strerror(errno));
        sy_err_hint(err, "Name an existing file with -c, or run without -c for an embedded demo.");
        return SY_E_CONFIG;
    }
    size_t got = 1;
    text->bytes_max = FILE_BYTES_MAX;
    while (got > 0 && !text->failed) {
        char *place = sy_buf_reserve(text, READ_BYTES);
        got = place != NULL ? fread(place, 1, READ_BYTES, stream) : 0;
        text->bytes += got;
    }
    bool broken = ferror(stream) != 0;
    fclose(stream);
    sy_buf_append_u8(text, 0);
    if (broken || text->failed)
        return sy_err_set(err, SY_E_CONFIG, "cannot read %s: %s", path,
                          broken ? "input/output error" : "larger than 1 MB or out of memory");
    return SY_OK;
}

enum sy_status sy_config_load(const char *path, struct sy_config **ret_config,
                              struct sy_buf *problems, struct sy_err *err)
{
    struct sy_buf text = {0};
    enum sy_status status = sy_config_read_file(path, &text, err);
    if (status == SY_OK)
        status = sy_config_parse(text.data, path, ret_config, problems, err);
    sy_buf_release(&text);
    return status;
}

struct sy_config *sy_config_ref(struct sy_config *config)
{
    __atomic_add_fetch(&config->refs, 1, __ATOMIC_RELAXED);
    return config;
}

void sy_config_unref(struct sy_config **config)
{
    struct sy_config *self = *config;
    *config = NULL;
    if (self == NULL || __atomic_sub_fetch(&self->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    sy_arena_release(&self->arena);
    free(self);
}
