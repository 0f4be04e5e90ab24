/* Reading and writing declarations. See the header for the grammar. */
#include "config/declaration.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_STRING, TOKEN_SIGN };

struct reader {
    struct sy_slice text;
    size_t at;
    enum token_kind kind; /* of the token at hand */
    size_t from;          /* where it begins */
    const char *value;    /* WORD: lower case; QUOTED, STRING: without quotes */
    char sign;
    struct sy_arena *arena;
    struct sy_err *err;
    bool failed;
};

/* ---- tokens ---- */

static void fail(struct reader *r, enum sy_status status, const char *text)
{
    if (r->failed)
        return;
    r->failed = true;
    r->kind = TOKEN_END;
    (void)sy_err_set(r->err, status, "%s", text);
    int characters = 1;
    for (size_t i = 0; i < r->from && i < r->text.bytes; i++)
        characters += ((uint8_t)r->text.data[i] & 0xc0) != 0x80;
    r->err->position = characters;
}

static void fail_near(struct reader *r, const char *wanted)
{
    char text[200];
    size_t bytes = r->at > r->from ? r->at - r->from : 0;
    if (r->kind == TOKEN_END)
        snprintf(text, sizeof(text), "syntax error at end of input, where %s should be", wanted);
    else
        snprintf(text, sizeof(text), "syntax error at or near \"%.*s\", where %s should be",
                 (int)(bytes > 60 ? 60 : bytes), r->text.data + r->from, wanted);
    fail(r, SY_E_SYNTAX, text);
}

static bool starts(const struct reader *r, const char *two)
{
    return r->at + 1 < r->text.bytes && memcmp(r->text.data + r->at, two, 2) == 0;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->text.bytes) {
        if (isspace((unsigned char)r->text.data[r->at])) {
            r->at++;
        } else if (starts(r, "--")) {
            while (r->at < r->text.bytes && r->text.data[r->at] != '\n')
                r->at++;
        } else if (starts(r, "/*")) {
            for (r->at += 2; r->at < r->text.bytes && !starts(r, "*/"); r->at++)
                ;
            r->at = r->at + 2 > r->text.bytes ? r->text.bytes : r->at + 2;
        } else {
            return;
        }
    }
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || ((uint8_t)c & 0x80) != 0;
}

static void read_word(struct reader *r)
{
    while (r->at < r->text.bytes && is_name_byte(r->text.data[r->at]))
        r->at++;
    char *copy = sy_arena_strndup(r->arena, r->text.data + r->from, r->at - r->from);
    for (char *c = copy; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    r->kind = TOKEN_WORD;
    r->value = copy;
}

/* A quote inside is written twice. */
static void read_quoted(struct reader *r, char quote)
{
    struct sy_slice rest = {r->text.data + r->at + 1, r->text.bytes - r->at - 1};
    char *copy = sy_arena_strndup(r->arena, rest.data, rest.bytes), *to = copy;
    const char *from = rest.data, *end = rest.data + rest.bytes;
    while (copy != NULL && from < end && (*from != quote || (from + 1 < end && from[1] == quote))) {
        from += *from == quote;
        *to++ = *from++;
    }
    if (copy == NULL)
        return;
    if (from == end) {
        fail(r, SY_E_SYNTAX, "unterminated quote");
        return;
    }
    *to = '\0';
    r->at = (size_t)(from - r->text.data) + 1;
    r->kind = quote == '"' ? TOKEN_QUOTED : TOKEN_STRING;
    r->value = copy;
}

static void next(struct reader *r)
{
    if (r->failed)
        return;
    skip_blanks(r);
    r->from = r->at;
    r->value = NULL;
    r->kind = TOKEN_END;
    if (r->at == r->text.bytes)
        return;
    char c = r->text.data[r->at];
    if (c == '"' || c == '\'') {
        read_quoted(r, c);
    } else if (is_name_byte(c)) {
        read_word(r);
    } else {
        r->kind = TOKEN_SIGN;
        r->sign = c;
        r->at++;
        return;
    }
    if (r->value == NULL)
        fail(r, SY_E_NO_MEMORY, "out of memory");
    else if (memchr(r->text.data + r->from, '\0', r->at - r->from) != NULL)
        fail(r, SY_E_SYNTAX, "a zero byte in a declaration");
    else if (r->kind != TOKEN_STRING && strlen(r->value) > SY_LIMIT_NAME_BYTES)
        fail(r, SY_E_LIMIT, "a name is too long");
}

static bool take_word(struct reader *r, const char *word)
{
    if (r->failed || r->kind != TOKEN_WORD || strcmp(r->value, word) != 0)
        return false;
    next(r);
    return true;
}

static void need_word(struct reader *r, const char *word, const char *shown)
{
    if (!take_word(r, word))
        fail_near(r, shown);
}

static bool take_sign(struct reader *r, char sign)
{
    if (r->failed || r->kind != TOKEN_SIGN || r->sign != sign)
        return false;
    next(r);
    return true;
}

static void need_sign(struct reader *r, char sign)
{
    const char shown[] = {'"', sign, '"', '\0'};
    if (!take_sign(r, sign))
        fail_near(r, shown);
}

static const char *need_name(struct reader *r, const char *what)
{
    const char *name = r->value;
    if (r->failed || (r->kind != TOKEN_WORD && r->kind != TOKEN_QUOTED) || name[0] == '\0') {
        fail_near(r, what);
        return "";
    }
    next(r);
    return name;
}

static const char *need_string(struct reader *r)
{
    const char *value = r->value;
    if (r->failed || r->kind != TOKEN_STRING) {
        fail_near(r, "a value in single quotes");
        return "";
    }
    next(r);
    return value;
}

/* ---- lists ---- */

/* Room for one more of `bytes` each: a grown copy in the arena, at powers of two. */
static void *grow(struct reader *r, void *elements, uint32_t count, size_t bytes)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return elements;
    char *more = sy_arena_calloc(r->arena, count == 0 ? 1 : (size_t)count * 2, bytes);
    if (more == NULL)
        fail(r, SY_E_NO_MEMORY, "out of memory");
    else if (count > 0)
        memcpy(more, elements, count * bytes);
    return more;
}

/* ( a, b ): names, or strings. */
static void read_list(struct reader *r, bool strings, const char ***ret_texts, uint32_t *ret_count)
{
    const char **texts = NULL;
    uint32_t count = 0;
    need_sign(r, '(');
    do {
        texts = grow(r, texts, count, sizeof(*texts));
        const char *text = strings ? need_string(r) : need_name(r, "a name");
        if (texts != NULL && !r->failed)
            texts[count++] = text;
    } while (take_sign(r, ','));
    need_sign(r, ')');
    *ret_texts = texts;
    *ret_count = count;
}

/* ---- keyspaces ---- */

static const struct {
    const char *word;
    enum sy_strategy strategy;
} strategies[] = {{"hash", SY_STRATEGY_HASH},
                  {"range", SY_STRATEGY_RANGE},
                  {"list", SY_STRATEGY_LIST},
                  {"geo", SY_STRATEGY_GEO}};

static const char *const types[] = {
    [SY_KEY_INT2] = "int2",           [SY_KEY_INT4] = "int4",
    [SY_KEY_INT8] = "int8",           [SY_KEY_TEXT] = "text",
    [SY_KEY_VARCHAR] = "varchar",     [SY_KEY_BPCHAR] = "bpchar",
    [SY_KEY_UUID] = "uuid",           [SY_KEY_DATE] = "date",
    [SY_KEY_TIMESTAMP] = "timestamp", [SY_KEY_TIMESTAMPTZ] = "timestamptz",
};
enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

static enum sy_key_type read_type(struct reader *r)
{
    static const struct {
        const char *word;
        enum sy_key_type type;
    } others[] = {{"smallint", SY_KEY_INT2},
                  {"integer", SY_KEY_INT4},
                  {"int", SY_KEY_INT4},
                  {"bigint", SY_KEY_INT8}};
    const char *word = r->kind == TOKEN_WORD && !r->failed ? r->value : "";
    int found = -1;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(word, types[i]) == 0)
            found = i;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(word, others[i].word) == 0)
            found = (int)others[i].type;
    if (found < 0)
        fail_near(r, "a key type (int2, int4, int8, text, varchar, bpchar, uuid, date, timestamp, "
                     "timestamptz)");
    else
        next(r);
    return found < 0 ? SY_KEY_INT8 : (enum sy_key_type)found;
}

/* s0 UPTO 'x' */
static void read_range(struct reader *r, struct sy_config_keyspace *keyspace)
{
    keyspace->ranges = grow(r, keyspace->ranges, keyspace->range_count, sizeof(*keyspace->ranges));
    const char *shard = need_name(r, "a shard");
    const char *upto = take_word(r, "upto") ? need_string(r) : NULL;
    if (!r->failed)
        keyspace->ranges[keyspace->range_count++] = (struct sy_config_range){upto, shard};
}

/* s0 VALUES ('a', 'b') or s1 DEFAULT */
static void read_list_shard(struct reader *r, struct sy_config_keyspace *keyspace)
{
    struct sy_config_list_value list = {.shard = need_name(r, "a shard")};
    if (take_word(r, "default")) {
        if (keyspace->default_shard != NULL)
            fail(r, SY_E_SYNTAX, "a keyspace has one DEFAULT");
        keyspace->default_shard = list.shard;
        return;
    }
    need_word(r, "values", "VALUES or DEFAULT");
    read_list(r, true, &list.values, &list.value_count);
    keyspace->lists = grow(r, keyspace->lists, keyspace->list_count, sizeof(*keyspace->lists));
    if (!r->failed)
        keyspace->lists[keyspace->list_count++] = list;
}

/* eu VALUES ('DE') ON (s0, s1) */
static void read_region(struct reader *r, struct sy_config_keyspace *keyspace)
{
    struct sy_config_region region = {.name = need_name(r, "a region")};
    if (take_word(r, "values"))
        read_list(r, true, &region.values, &region.value_count);
    need_word(r, "on", "ON");
    read_list(r, false, &region.shards, &region.shard_count);
    keyspace->regions =
        grow(r, keyspace->regions, keyspace->region_count, sizeof(*keyspace->regions));
    if (!r->failed)
        keyspace->regions[keyspace->region_count++] = region;
}

static void read_keyspace(struct reader *r, struct sy_declaration *declaration)
{
    static void (*const parts[])(struct reader *, struct sy_config_keyspace *) = {
        [SY_STRATEGY_RANGE] = read_range,
        [SY_STRATEGY_LIST] = read_list_shard,
        [SY_STRATEGY_GEO] = read_region,
    };
    struct sy_config_keyspace *keyspace = &declaration->keyspace;
    int found = -1;
    declaration->name = keyspace->name = need_name(r, "a keyspace's name");
    for (size_t i = 0; found < 0 && i < sizeof(strategies) / sizeof(strategies[0]); i++)
        if (take_word(r, strategies[i].word))
            found = (int)strategies[i].strategy;
    if (found < 0) {
        fail_near(r, "HASH, RANGE, LIST or GEO");
        return;
    }
    keyspace->strategy = (enum sy_strategy)found;
    need_sign(r, '(');
    keyspace->type = read_type(r);
    keyspace->hash_type = SY_KEY_INT8;
    if (keyspace->strategy == SY_STRATEGY_GEO && take_sign(r, ','))
        keyspace->hash_type = read_type(r);
    need_sign(r, ')');
    if (keyspace->strategy == SY_STRATEGY_HASH) {
        if (take_word(r, "on"))
            read_list(r, false, &keyspace->shards, &keyspace->shard_count);
        return;
    }
    need_sign(r, '(');
    do
        parts[keyspace->strategy](r, keyspace);
    while (take_sign(r, ','));
    need_sign(r, ')');
}

/* ---- tables ---- */

static void read_table(struct reader *r, struct sy_declaration *declaration)
{
    declaration->schema = "public";
    declaration->name = need_name(r, "a table's name");
    if (take_sign(r, '.')) {
        declaration->schema = declaration->name;
        declaration->name = need_name(r, "a table's name");
    }
}

static void read_sharded(struct reader *r, struct sy_declaration *declaration)
{
    read_table(r, declaration);
    need_word(r, "by", "BY");
    declaration->key = need_name(r, "a column");
    if (take_sign(r, ','))
        declaration->hash_key = need_name(r, "a column");
    need_word(r, "in", "IN");
    declaration->keyspace_name = need_name(r, "a keyspace");
    if (!take_word(r, "per"))
        return;
    need_word(r, "shard", "SHARD CONSTRAINTS");
    need_word(r, "constraints", "CONSTRAINTS");
    read_list(r, false, &declaration->per_shard_constraints,
              &declaration->per_shard_constraint_count);
}

static void read_local(struct reader *r, struct sy_declaration *declaration)
{
    read_table(r, declaration);
    need_word(r, "on", "ON");
    declaration->shard = need_name(r, "a shard");
}

static void read_drop(struct reader *r, struct sy_declaration *declaration)
{
    declaration->name = need_name(r, "a keyspace's name");
}

/* ---- statements ---- */

static const struct {
    const char *first, *second;
    enum sy_declaration_kind kind;
    void (*read)(struct reader *r, struct sy_declaration *declaration);
} statements[] = {
    {"create", "keyspace", SY_DECLARE_KEYSPACE, read_keyspace},
    {"drop", "keyspace", SY_DECLARE_DROP_KEYSPACE, read_drop},
    {"shard", "table", SY_DECLARE_SHARDED, read_sharded},
    {"reference", "table", SY_DECLARE_REFERENCE, read_table},
    {"local", "table", SY_DECLARE_LOCAL, read_local},
    {"unshard", "table", SY_DECLARE_UNSHARD, read_table},
};
enum { STATEMENT_COUNT = sizeof(statements) / sizeof(statements[0]) };

static bool is_word_at(struct reader *r, const char *word)
{
    skip_blanks(r);
    size_t from = r->at, bytes = strlen(word);
    while (r->at < r->text.bytes && is_name_byte(r->text.data[r->at]))
        r->at++;
    return r->at - from == bytes && strncasecmp(r->text.data + from, word, bytes) == 0;
}

static int find_statement(struct sy_slice text)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        struct reader r = {.text = text};
        if (is_word_at(&r, statements[i].first) && is_word_at(&r, statements[i].second))
            return i;
    }
    return -1;
}

bool sy_declaration_begins(struct sy_slice text)
{
    return find_statement(text) >= 0;
}

enum sy_status sy_declaration_parse(struct sy_slice text, struct sy_arena *arena,
                                    struct sy_declaration *ret_declaration, struct sy_err *err)
{
    struct reader r = {.text = text, .arena = arena, .err = err};
    struct sy_declaration declaration = {0};
    if (text.bytes > SY_LIMIT_DECLARATION_BYTES)
        return sy_err_set(err, SY_E_LIMIT, "a declaration has at most %d bytes",
                          SY_LIMIT_DECLARATION_BYTES);
    int found = find_statement(text);
    if (found < 0)
        return sy_err_set(err, SY_E_SYNTAX, "this is no declaration");
    next(&r);
    next(&r);
    next(&r);
    declaration.kind = statements[found].kind;
    statements[found].read(&r, &declaration);
    if (take_word(&r, "for")) {
        need_word(&r, "database", "DATABASE");
        declaration.database = need_name(&r, "a database's name");
    }
    while (take_sign(&r, ';'))
        ;
    if (!r.failed && r.kind != TOKEN_END)
        fail_near(&r, "the end");
    if (r.failed)
        return err->status;
    *ret_declaration = declaration;
    return SY_OK;
}

/* ---- writing ---- */

static void put_quoted(struct sy_buf *out, const char *text, char quote)
{
    sy_buf_append_u8(out, (uint8_t)quote);
    for (; *text != '\0'; text++) {
        if (*text == quote)
            sy_buf_append_u8(out, (uint8_t)quote);
        sy_buf_append_u8(out, (uint8_t)*text);
    }
    sy_buf_append_u8(out, (uint8_t)quote);
}

/* Without quotes where they change nothing; a word of the grammar never stands where a name may. */
static void put_name(struct sy_buf *out, const char *name)
{
    bool plain = name[0] == '_' || (name[0] >= 'a' && name[0] <= 'z');
    for (const char *c = name; *c != '\0'; c++)
        plain = plain && (*c == '_' || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'));
    if (plain)
        sy_buf_append_str(out, name);
    else
        put_quoted(out, name, '"');
}

static void put_list(struct sy_buf *out, const char *const *texts, uint32_t count, bool strings)
{
    sy_buf_append_str(out, "(");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            sy_buf_append_str(out, ", ");
        if (strings)
            put_quoted(out, texts[i], '\'');
        else
            put_name(out, texts[i]);
    }
    sy_buf_append_str(out, ")");
}

static void put_ranges(struct sy_buf *out, const struct sy_config_keyspace *keyspace)
{
    for (uint32_t i = 0; i < keyspace->range_count; i++) {
        sy_buf_append_str(out, i > 0 ? ", " : "");
        put_name(out, keyspace->ranges[i].shard);
        if (keyspace->ranges[i].upto == NULL)
            continue;
        sy_buf_append_str(out, " UPTO ");
        put_quoted(out, keyspace->ranges[i].upto, '\'');
    }
}

static void put_lists(struct sy_buf *out, const struct sy_config_keyspace *keyspace)
{
    for (uint32_t i = 0; i < keyspace->list_count; i++) {
        sy_buf_append_str(out, i > 0 ? ", " : "");
        put_name(out, keyspace->lists[i].shard);
        sy_buf_append_str(out, " VALUES ");
        put_list(out, keyspace->lists[i].values, keyspace->lists[i].value_count, true);
    }
    if (keyspace->default_shard == NULL)
        return;
    sy_buf_append_str(out, keyspace->list_count > 0 ? ", " : "");
    put_name(out, keyspace->default_shard);
    sy_buf_append_str(out, " DEFAULT");
}

static void put_regions(struct sy_buf *out, const struct sy_config_keyspace *keyspace)
{
    for (uint32_t i = 0; i < keyspace->region_count; i++) {
        const struct sy_config_region *region = &keyspace->regions[i];
        sy_buf_append_str(out, i > 0 ? ", " : "");
        put_name(out, region->name);
        if (region->value_count > 0) {
            sy_buf_append_str(out, " VALUES ");
            put_list(out, region->values, region->value_count, true);
        }
        sy_buf_append_str(out, " ON ");
        put_list(out, region->shards, region->shard_count, false);
    }
}

static void put_keyspace(struct sy_buf *out, const struct sy_config_keyspace *keyspace)
{
    static const char *const words[] = {[SY_STRATEGY_HASH] = "HASH",
                                        [SY_STRATEGY_RANGE] = "RANGE",
                                        [SY_STRATEGY_LIST] = "LIST",
                                        [SY_STRATEGY_GEO] = "GEO"};
    put_name(out, keyspace->name);
    sy_buf_printf(out, " %s (%s", words[keyspace->strategy], types[keyspace->type]);
    if (keyspace->strategy == SY_STRATEGY_GEO)
        sy_buf_printf(out, ", %s", types[keyspace->hash_type]);
    sy_buf_append_str(out, ")");
    if (keyspace->strategy == SY_STRATEGY_HASH) {
        if (keyspace->shard_count > 0) {
            sy_buf_append_str(out, " ON ");
            put_list(out, keyspace->shards, keyspace->shard_count, false);
        }
        return;
    }
    sy_buf_append_str(out, " (");
    if (keyspace->strategy == SY_STRATEGY_RANGE)
        put_ranges(out, keyspace);
    else if (keyspace->strategy == SY_STRATEGY_LIST)
        put_lists(out, keyspace);
    else
        put_regions(out, keyspace);
    sy_buf_append_str(out, ")");
}

static void put_sharded(struct sy_buf *out, const struct sy_declaration *declaration)
{
    sy_buf_append_str(out, " BY ");
    put_name(out, declaration->key);
    if (declaration->hash_key != NULL) {
        sy_buf_append_str(out, ", ");
        put_name(out, declaration->hash_key);
    }
    sy_buf_append_str(out, " IN ");
    put_name(out, declaration->keyspace_name);
    if (declaration->per_shard_constraint_count == 0)
        return;
    sy_buf_append_str(out, " PER SHARD CONSTRAINTS ");
    put_list(out, declaration->per_shard_constraints, declaration->per_shard_constraint_count,
             false);
}

const char *sy_declaration_tag(enum sy_declaration_kind kind)
{
    static const char *const tags[] = {
        [SY_DECLARE_KEYSPACE] = "CREATE KEYSPACE", [SY_DECLARE_DROP_KEYSPACE] = "DROP KEYSPACE",
        [SY_DECLARE_SHARDED] = "SHARD TABLE",      [SY_DECLARE_REFERENCE] = "REFERENCE TABLE",
        [SY_DECLARE_LOCAL] = "LOCAL TABLE",        [SY_DECLARE_UNSHARD] = "UNSHARD TABLE"};
    return tags[kind];
}

void sy_declaration_write(const struct sy_declaration *declaration, struct sy_buf *out)
{
    sy_buf_printf(out, "%s ", sy_declaration_tag(declaration->kind));
    if (declaration->kind == SY_DECLARE_KEYSPACE) {
        put_keyspace(out, &declaration->keyspace);
        return;
    }
    if (declaration->schema != NULL) {
        put_name(out, declaration->schema);
        sy_buf_append_str(out, ".");
    }
    put_name(out, declaration->name);
    if (declaration->kind == SY_DECLARE_SHARDED)
        put_sharded(out, declaration);
    if (declaration->kind == SY_DECLARE_LOCAL) {
        sy_buf_append_str(out, " ON ");
        put_name(out, declaration->shard);
    }
}
