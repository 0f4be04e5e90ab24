/*
 * Regular expressions: PostgreSQL's advanced syntax on PCRE2. What means the same runs; back
 * references, look-around and the embedded options (?i) are common to both. Forms that PCRE2 reads
 * differently are translated or refused.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions_internal.h"

struct flags {
    bool global, ignore_case, bad;
    uint32_t options;
};

static struct flags read_flags(struct sq_call *call, int index)
{
    struct flags out = {.options = 0};
    struct sy_slice text = index < call->argc ? sq_arg_text(call, index) : (struct sy_slice){"", 0};
    for (size_t i = 0; i < text.bytes && !out.bad; i++) {
        switch (text.data[i]) {
        case 'g':
            out.global = true;
            break;
        case 'i':
            out.ignore_case = true;
            break;
        case 'c':
            out.ignore_case = false;
            break;
        case 'n':
        case 'm': /* newline-sensitive: . stops at newlines, ^ and $ match beside them */
            out.options |= 1;
            break;
        case 'p':
            out.options |= 2;
            break;
        case 'w':
            out.options |= 4;
            break;
        case 's':
            out.options &= ~7U;
            break;
        case 'x':
            out.options |= 8;
            break;
        default:
            sq_fail(call, "22023", "invalid regular expression option: \"%c\"", text.data[i]);
            out.bad = true;
            break;
        }
    }
    return out;
}

/* PostgreSQL's escapes under PCRE2's names: \m \M word bounds, \y \Y, \A \Z; the rest is the same.
 */
static bool convert(struct sq_call *call, struct sy_slice pattern, struct sy_buf *out)
{
    bool in_class = false;
    if (pattern.bytes >= 4 && memcmp(pattern.data, "***=", 4) == 0) {
        sy_buf_append_str(out, "\\Q");
        sy_buf_append(out, pattern.data + 4, pattern.bytes - 4);
        return true;
    }
    for (size_t i = 0; i < pattern.bytes; i++) {
        char c = pattern.data[i];
        if (c == '[' && in_class && i + 1 < pattern.bytes &&
            (pattern.data[i + 1] == '.' || pattern.data[i + 1] == '=')) {
            sq_fail(
                call, "0A000",
                "collating elements in regular expressions are not supported by the sqlite engine");
            return false;
        }
        if (c == '[' && in_class && i + 1 < pattern.bytes && pattern.data[i + 1] == ':') {
            const char *end = memmem(pattern.data + i, pattern.bytes - i, ":]", 2);
            if (end != NULL) {
                sy_buf_append(out, pattern.data + i, (size_t)(end - pattern.data) + 2 - i);
                i = (size_t)(end - pattern.data) + 1;
                continue;
            }
        }
        if (c == '[' && !in_class) {
            in_class = true;
            sy_buf_append(out, &c, 1);
            if (i + 1 < pattern.bytes && pattern.data[i + 1] == '^')
                sy_buf_append(out, &pattern.data[++i], 1);
            if (i + 1 < pattern.bytes && pattern.data[i + 1] == ']') {
                sy_buf_append_str(out, "\\]");
                i++;
            }
            continue;
        }
        if (c == ']')
            in_class = false;
        if (c == '\\' && i + 1 < pattern.bytes) {
            char next = pattern.data[++i];
            const char *plain = next == 'm'   ? "\\b(?=\\w)"
                                : next == 'M' ? "\\b(?<=\\w)"
                                : next == 'y' ? "\\b"
                                : next == 'Y' ? "\\B"
                                : next == 'Z' ? "\\z"
                                              : NULL;
            if (plain != NULL && !in_class) {
                sy_buf_append_str(out, plain);
            } else {
                sy_buf_append(out, &c, 1);
                sy_buf_append(out, &next, 1);
            }
            continue;
        }
        sy_buf_append(out, &c, 1);
    }
    return true;
}

struct cached {
    pcre2_code *code;
    bool ignore_case;
    uint32_t options;
};

static void free_cached(void *memory)
{
    struct cached *cached = memory;
    pcre2_code_free(cached->code);
    free(cached);
}

/* Compiled once per statement when the pattern is constant. */
static pcre2_code *compile(struct sq_call *call, int index, const struct flags *flags,
                           bool *ret_owned)
{
    const struct cached *cached = sqlite3_get_auxdata(call->context, index);
    struct sy_buf text = {0};
    *ret_owned = false;
    if (cached != NULL && cached->ignore_case == flags->ignore_case &&
        cached->options == flags->options)
        return cached->code;
    if (!convert(call, sq_arg_text(call, index), &text)) {
        sy_buf_release(&text);
        return NULL;
    }
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_INVALID_UTF |
                       (flags->ignore_case ? PCRE2_CASELESS : 0) |
                       ((flags->options & 3) == 0 ? PCRE2_DOTALL : 0) |
                       ((flags->options & 5) != 0 ? PCRE2_MULTILINE : 0) |
                       ((flags->options & 8) != 0 ? PCRE2_EXTENDED : 0);
    int number = 0;
    size_t at = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)(text.data == NULL ? "" : text.data), text.bytes,
                                     options, &number, &at, NULL);
    sy_buf_release(&text);
    if (code == NULL) {
        unsigned char message[120];
        (void)pcre2_get_error_message(number, message, sizeof(message));
        sq_fail(call, "2201B", "invalid regular expression: %s", (const char *)message);
        return NULL;
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    *ret_owned = true;
    return code;
}

/* Gives the code to SQLite's cache, which may free it at once: call when it is no longer used. */
static void keep(struct sq_call *call, int index, pcre2_code *code, const struct flags *flags,
                 bool owned)
{
    struct cached *cached = owned ? malloc(sizeof(*cached)) : NULL;
    if (owned && cached == NULL)
        pcre2_code_free(code);
    if (cached == NULL)
        return;
    *cached = (struct cached){code, flags->ignore_case, flags->options};
    sqlite3_set_auxdata(call->context, index, cached, free_cached);
}

static int match(const pcre2_code *code, struct sy_slice text, size_t from, pcre2_match_data *data)
{
    return pcre2_match(code, (PCRE2_SPTR)text.data, text.bytes, from, 0, data, NULL);
}

static void test(struct sq_call *call, bool ignore_case)
{
    bool owned = false;
    struct flags flags = read_flags(call, 2);
    if (flags.bad)
        return;
    flags.ignore_case = flags.ignore_case || ignore_case;
    pcre2_code *code = compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    int rc = match(code, sq_arg_text(call, 0), 0, data);
    pcre2_match_data_free(data);
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
        sq_return_bool(call, rc >= 0);
    else
        sq_fail(call, "54001", "regular expression is too complex");
    keep(call, 1, code, &flags, owned);
}

static void f_regex(struct sq_call *call)
{
    test(call, false);
}

static void f_iregex(struct sq_call *call)
{
    test(call, true);
}

static size_t next_start(struct sy_slice text, size_t from, size_t end)
{
    if (end > from)
        return end;
    end++;
    while (end < text.bytes && ((unsigned char)text.data[end] & 0xc0) == 0x80)
        end++;
    return end;
}

static void append_replacement(struct sy_buf *out, struct sy_slice by, struct sy_slice text,
                               const size_t *groups, int count)
{
    for (size_t i = 0; i < by.bytes; i++) {
        char c = by.data[i];
        if (c != '\\' || i + 1 >= by.bytes) {
            sy_buf_append(out, &c, 1);
            continue;
        }
        char next = by.data[++i];
        int group = next == '&' ? 0 : next >= '1' && next <= '9' ? next - '0' : -1;
        if (group >= 0 && group < count && groups[2 * group] != PCRE2_UNSET)
            sy_buf_append(out, text.data + groups[2 * group],
                          groups[2 * group + 1] - groups[2 * group]);
        else if (group < 0 && next == '\\')
            sy_buf_append_str(out, "\\");
        else if (group < 0) {
            sy_buf_append(out, &c, 1);
            sy_buf_append(out, &next, 1);
        }
    }
}

static void f_regexp_replace(struct sq_call *call)
{
    bool owned = false;
    struct flags flags = read_flags(call, 3);
    pcre2_code *code = flags.bad ? NULL : compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    struct sy_slice text = sq_arg_text(call, 0), by = sq_arg_text(call, 2);
    struct sy_buf out = {0};
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    size_t from = 0, copied = 0;
    while (from <= text.bytes) {
        int rc = match(code, text, from, data);
        if (rc < 0)
            break;
        const size_t *groups = pcre2_get_ovector_pointer(data);
        sy_buf_append(&out, text.data + copied, groups[0] - copied);
        append_replacement(&out, by, text, groups, rc);
        copied = groups[1];
        from = next_start(text, groups[0], groups[1]);
        if (!flags.global)
            break;
    }
    sy_buf_append(&out, text.data + copied, text.bytes - copied);
    pcre2_match_data_free(data);
    sq_return_buf(call, &out);
    keep(call, 1, code, &flags, owned);
}

/* substring(text from pattern): the first group, or all when there is none. */
static void f_regexp_substring(struct sq_call *call)
{
    bool owned = false;
    struct flags flags = {.options = 0};
    pcre2_code *code = compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    struct sy_slice text = sq_arg_text(call, 0);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    uint32_t groups_in_pattern = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups_in_pattern);
    if (match(code, text, 0, data) >= 0) {
        const size_t *groups = pcre2_get_ovector_pointer(data);
        int group = groups_in_pattern > 0 ? 1 : 0;
        if (groups[2 * group] != PCRE2_UNSET)
            sq_return_text(call, text.data + groups[2 * group],
                           groups[2 * group + 1] - groups[2 * group]);
    }
    pcre2_match_data_free(data);
    keep(call, 1, code, &flags, owned);
}

static void append_groups(struct sy_buf *out, struct sy_slice text, const size_t *groups,
                          uint32_t count)
{
    sy_buf_append_str(out, "{");
    for (uint32_t g = count > 0 ? 1 : 0; g <= count; g++) {
        bool unset = groups[2 * g] == PCRE2_UNSET;
        struct sy_slice part = {unset ? "" : text.data + groups[2 * g],
                                unset ? 0 : groups[2 * g + 1] - groups[2 * g]};
        sq_array_append_element(out, g <= 1, part, unset);
    }
    sy_buf_append_str(out, "}");
}

/* Every match (the first without "g") as a JSON array of array texts, for sy_json_elements to make
 * rows of. */
static void f_regexp_matches(struct sq_call *call)
{
    bool owned = false, first = true;
    struct flags flags = read_flags(call, 2);
    pcre2_code *code = flags.bad ? NULL : compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_buf out = {0}, array = {0};
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    uint32_t count = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &count);
    sy_buf_append_str(&out, "[");
    for (size_t from = 0; from <= text.bytes && match(code, text, from, data) >= 0; first = false) {
        const size_t *groups = pcre2_get_ovector_pointer(data);
        sy_buf_clear(&array);
        append_groups(&array, text, groups, count);
        struct sy_sqvalue value = {.kind = SY_SQ_TEXT, .bytes = {array.data, array.bytes}};
        sy_buf_append_str(&out, first ? "" : ",");
        sq_json_append_value(call, SY_T_TEXT, &value, &out);
        from = next_start(text, groups[0], groups[1]);
        if (!flags.global)
            break;
    }
    sy_buf_append_str(&out, "]");
    sy_buf_release(&array);
    pcre2_match_data_free(data);
    sq_return_buf(call, &out);
    keep(call, 1, code, &flags, owned);
}

static void f_regexp_match(struct sq_call *call)
{
    bool owned = false;
    struct flags flags = read_flags(call, 2);
    if (flags.global) {
        sq_fail(call, "22023", "regexp_match() does not support the \"global\" option");
        return;
    }
    pcre2_code *code = flags.bad ? NULL : compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    struct sy_slice text = sq_arg_text(call, 0);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    uint32_t count = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &count);
    if (match(code, text, 0, data) >= 0) {
        const size_t *groups = pcre2_get_ovector_pointer(data);
        struct sy_buf out = {0};
        append_groups(&out, text, groups, count);
        sq_return_buf(call, &out);
    }
    pcre2_match_data_free(data);
    keep(call, 1, code, &flags, owned);
}

static void f_regexp_split_to_array(struct sq_call *call)
{
    bool owned = false, first = true;
    struct flags flags = read_flags(call, 2);
    pcre2_code *code = flags.bad ? NULL : compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_buf out = {0};
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    size_t from = 0, copied = 0;
    sy_buf_append_str(&out, "{");
    while (from < text.bytes && match(code, text, from, data) >= 0) {
        const size_t *groups = pcre2_get_ovector_pointer(data);
        bool empty = groups[0] == groups[1];
        from = next_start(text, groups[0], groups[1]);
        if (empty && (groups[0] == copied || groups[0] >= text.bytes)) {
            if (groups[0] >= text.bytes)
                break;
            if (groups[0] == copied)
                continue;
        }
        sq_array_append_element(&out, first,
                                (struct sy_slice){text.data + copied, groups[0] - copied}, false);
        first = false;
        copied = groups[1];
    }
    sq_array_append_element(&out, first, (struct sy_slice){text.data + copied, text.bytes - copied},
                            false);
    sy_buf_append_str(&out, "}");
    pcre2_match_data_free(data);
    sq_return_buf(call, &out);
    keep(call, 1, code, &flags, owned);
}

static void f_regexp_count(struct sq_call *call)
{
    bool owned = false;
    struct flags flags = read_flags(call, 3);
    pcre2_code *code = flags.bad ? NULL : compile(call, 1, &flags, &owned);
    if (code == NULL)
        return;
    struct sy_slice text = sq_arg_text(call, 0);
    size_t from = 0;
    int64_t skip = call->argc > 2 ? sq_arg_int(call, 2) - 1 : 0, count = 0;
    for (; skip > 0 && from < text.bytes; skip--)
        from = next_start(text, from, from);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    while (from <= text.bytes && match(code, text, from, data) >= 0) {
        const size_t *groups = pcre2_get_ovector_pointer(data);
        count++;
        from = next_start(text, groups[0], groups[1]);
    }
    pcre2_match_data_free(data);
    sq_return_int(call, count);
    keep(call, 1, code, &flags, owned);
}

/* SIMILAR TO: its pattern as a regular expression for the whole string. */
static void f_similar_to_escape(struct sq_call *call)
{
    struct sy_slice pattern = sq_arg_text(call, 0);
    struct sy_slice escape = call->argc > 1 ? sq_arg_text(call, 1) : (struct sy_slice){"\\", 1};
    struct sy_buf out = {0};
    bool in_class = false;
    sy_buf_append_str(&out, "^(?:");
    for (size_t i = 0; i < pattern.bytes; i++) {
        char c = pattern.data[i];
        if (escape.bytes == 1 && c == escape.data[0] && i + 1 < pattern.bytes) {
            sy_buf_append_str(&out, "\\");
            sy_buf_append(&out, &pattern.data[++i], 1);
        } else if (in_class || c == '[') {
            in_class = c != ']';
            sy_buf_append(&out, &c, 1);
        } else if (c == '%') {
            sy_buf_append_str(&out, ".*");
        } else if (c == '_') {
            sy_buf_append_str(&out, ".");
        } else if (c == '(') {
            sy_buf_append_str(&out, "(?:");
        } else if (c == '\\' || c == '.' || c == '^' || c == '$') {
            sy_buf_append_str(&out, "\\");
            sy_buf_append(&out, &c, 1);
        } else {
            sy_buf_append(&out, &c, 1);
        }
    }
    sy_buf_append_str(&out, ")$");
    sq_return_buf(call, &out);
}

static const struct sq_function functions[] = {
    {"sy_regex", 2, 0, f_regex},
    {"sy_iregex", 2, 0, f_iregex},
    {"sy_regexp_like", -1, 0, f_regex},
    {"sy_regexp_replace", -1, 0, f_regexp_replace},
    {"sy_regexp_substring", -1, 0, f_regexp_substring},
    {"sy_regexp_match", -1, 0, f_regexp_match},
    {"sy_regexp_matches", -1, 0, f_regexp_matches},
    {"sy_regexp_split_to_array", -1, 0, f_regexp_split_to_array},
    {"sy_regexp_count", -1, 0, f_regexp_count},
    {"sy_similar_to_escape", -1, 0, f_similar_to_escape},
};

const struct sq_function_table sq_functions_regex = {functions,
                                                     sizeof(functions) / sizeof(functions[0])};
