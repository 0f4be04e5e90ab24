/* concat, format and quoting: functions that take values of any type with their type's OID before
 * each. */
#include <ctype.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions_internal.h"

/* Appends argument pair `index` (type, value); false: reported. */
static bool append_pair(struct sq_call *call, int index, struct sy_buf *out)
{
    struct sy_sqvalue value = sq_arg_value(call, index + 1);
    return sq_text_of(call, (uint32_t)sq_arg_int(call, index), &value, out);
}

static void f_concat(struct sq_call *call)
{
    struct sy_buf out = {0};
    for (int i = 0; i + 1 < call->argc; i += 2)
        if (!append_pair(call, i, &out)) {
            sy_buf_release(&out);
            return;
        }
    sq_return_buf(call, &out);
}

static void f_concat_ws(struct sq_call *call)
{
    struct sy_buf out = {0};
    bool first = true;
    if (sq_is_null(call, 1))
        return;
    for (int i = 2; i + 1 < call->argc; i += 2) {
        if (sq_is_null(call, i + 1))
            continue;
        if (!first)
            sy_buf_append_slice(&out, sq_arg_text(call, 1));
        first = false;
        if (!append_pair(call, i, &out)) {
            sy_buf_release(&out);
            return;
        }
    }
    sq_return_buf(call, &out);
}

/* ---- quoting ---- */

static bool is_keyword(struct sy_slice text)
{
    /* clang-format off */
    static const char *const reserved[] = {
        "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between", "bigint",
        "binary", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce", "collate", "collation",
        "column", "concurrently", "constraint", "create", "cross", "current_catalog", "current_date", "current_role",
        "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal", "default", "deferrable",
        "desc", "distinct", "do", "else", "end", "except", "exists", "extract", "false", "fetch", "float", "for", "foreign",
        "freeze", "from", "full", "grant", "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner",
        "inout", "int", "integer", "intersect", "interval", "into", "is", "isnull", "join", "lateral", "leading", "least",
        "left", "like", "limit", "localtime", "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not",
        "notnull", "null", "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay",
        "placing", "position", "precision", "primary", "real", "references", "returning", "right", "row", "select",
        "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample", "then",
        "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using", "values",
        "varchar", "variadic", "verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement",
        "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable"};
    /* clang-format on */
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strlen(reserved[i]) == text.bytes && memcmp(reserved[i], text.data, text.bytes) == 0)
            return true;
    return false;
}

static void append_ident(struct sy_buf *out, struct sy_slice text)
{
    bool plain =
        text.bytes > 0 && (islower((unsigned char)text.data[0]) != 0 || text.data[0] == '_');
    for (size_t i = 0; i < text.bytes && plain; i++) {
        unsigned char c = (unsigned char)text.data[i];
        plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (plain && !is_keyword(text)) {
        sy_buf_append_slice(out, text);
        return;
    }
    sy_buf_append_str(out, "\"");
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '"')
            sy_buf_append_str(out, "\"");
        sy_buf_append(out, &text.data[i], 1);
    }
    sy_buf_append_str(out, "\"");
}

static void append_literal(struct sy_buf *out, struct sy_slice text)
{
    sy_buf_append_str(out, memchr(text.data, '\\', text.bytes) != NULL ? "E'" : "'");
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            sy_buf_append(out, &text.data[i], 1);
        sy_buf_append(out, &text.data[i], 1);
    }
    sy_buf_append_str(out, "'");
}

static void f_quote_ident(struct sq_call *call)
{
    struct sy_buf out = {0};
    append_ident(&out, sq_arg_text(call, 0));
    sq_return_buf(call, &out);
}

static void f_quote_literal(struct sq_call *call)
{
    struct sy_buf out = {0};
    append_literal(&out, sq_arg_text(call, 0));
    sq_return_buf(call, &out);
}

static void f_quote_nullable(struct sq_call *call)
{
    if (sq_is_null(call, 0))
        sq_return_text(call, "NULL", 4);
    else
        f_quote_literal(call);
}

/* ---- format(template, ...) ---- */

struct spec {
    bool left;
    int64_t width;
    char type;
};

static bool format_value(struct sq_call *call, const struct spec *spec, int pair,
                         struct sy_buf *out)
{
    struct sy_buf text = {0}, piece = {0};
    bool is_null = sq_is_null(call, pair + 1);
    if (is_null && spec->type == 'I') {
        sq_fail(call, "22004", "null values cannot be formatted as an SQL identifier");
        return false;
    }
    if (!is_null && !append_pair(call, pair, &text)) {
        sy_buf_release(&text);
        return false;
    }
    struct sy_slice value = {text.data == NULL ? "" : text.data, text.bytes};
    if (spec->type == 'I')
        append_ident(&piece, value);
    else if (spec->type == 'L' && is_null)
        sy_buf_append_str(&piece, "NULL");
    else if (spec->type == 'L')
        append_literal(&piece, value);
    else
        sy_buf_append_slice(&piece, value);
    int64_t characters = 0;
    for (size_t i = 0; i < piece.bytes; i++)
        characters += ((unsigned char)piece.data[i] & 0xc0) != 0x80;
    int64_t missing = spec->width - characters;
    for (int64_t i = 0; i < missing && !spec->left; i++)
        sy_buf_append_str(out, " ");
    sy_buf_append(out, piece.data == NULL ? "" : piece.data, piece.bytes);
    for (int64_t i = 0; i < missing && spec->left; i++)
        sy_buf_append_str(out, " ");
    sy_buf_release(&text);
    sy_buf_release(&piece);
    return true;
}

static int64_t digits(const char **p, const char *end)
{
    int64_t value = 0;
    while (*p < end && isdigit((unsigned char)**p) != 0 && value < 100000)
        value = value * 10 + (*(*p)++ - '0');
    return value;
}

/* One "%..." after the percent sign. */
static bool format_spec(struct sq_call *call, const char **p, const char *end, int *next,
                        struct sy_buf *out)
{
    struct spec spec = {0};
    const char *start = *p;
    int64_t number = digits(p, end);
    int pair = -1;
    if (*p > start && *p < end && **p == '$') {
        (*p)++;
        pair = (int)number * 2;
        if (number == 0) {
            sq_fail(call, "22023",
                    "format specifies argument 0, but arguments are numbered from 1");
            return false;
        }
    } else {
        *p = start;
    }
    if (*p < end && **p == '-') {
        spec.left = true;
        (*p)++;
    }
    if (*p < end && **p == '*') {
        (*p)++;
        if (*next + 1 >= call->argc) {
            sq_fail(call, "22023", "too few arguments for format()");
            return false;
        }
        spec.width = sq_is_null(call, *next + 1) ? 0 : sq_arg_int(call, *next + 1);
        spec.left = spec.left || spec.width < 0;
        spec.width = spec.width < 0 ? -spec.width : spec.width;
        *next += 2;
    } else {
        spec.width = digits(p, end);
    }
    spec.type = *p < end ? *(*p)++ : '\0';
    if (spec.type != 's' && spec.type != 'I' && spec.type != 'L') {
        sq_fail(call, "22023",
                spec.type == '\0' ? "unterminated format() type specifier"
                                  : "unrecognized format() type specifier \"%c\"",
                spec.type);
        return false;
    }
    if (pair < 0)
        pair = *next;
    *next = pair + 2;
    if (pair + 1 >= call->argc) {
        sq_fail(call, "22023", "too few arguments for format()");
        return false;
    }
    return format_value(call, &spec, pair, out);
}

static void f_format(struct sq_call *call)
{
    struct sy_buf out = {0};
    int next = 2;
    if (sq_is_null(call, 1))
        return;
    struct sy_slice text = sq_arg_text(call, 1);
    const char *p = text.data, *end = text.data + text.bytes;
    while (p < end) {
        if (*p != '%') {
            sy_buf_append(&out, p++, 1);
            continue;
        }
        p++;
        if (p < end && *p == '%') {
            sy_buf_append(&out, p++, 1);
            continue;
        }
        if (!format_spec(call, &p, end, &next, &out)) {
            sy_buf_release(&out);
            return;
        }
    }
    sq_return_buf(call, &out);
}

static const struct sq_function functions[] = {
    {"sy_concat", -1, SQ_F_NULLS, f_concat},
    {"sy_concat_ws", -1, SQ_F_NULLS, f_concat_ws},
    {"sy_format", -1, SQ_F_NULLS, f_format},
    {"sy_quote_ident", 1, 0, f_quote_ident},
    {"sy_quote_literal", 1, 0, f_quote_literal},
    {"sy_quote_nullable", 1, SQ_F_NULLS, f_quote_nullable},
};

const struct sq_function_table sq_functions_format = {functions,
                                                      sizeof(functions) / sizeof(functions[0])};
