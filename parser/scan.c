/*
 * The template scanner; see scan.h. Byte classes in a table, one switch per token, no look at
 * keywords: where a literal starts and ends depends on nothing else. Pure, apart from its buffers.
 *
 * Source: PostgreSQL 15, src/backend/parser/scan.l describes the tokens (manual section 4.1).
 */
#include "parser/scan.h"

#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"

/* Longer runs of plus and minus are refused; an operator has 63 characters at most. */
enum { OPERATOR_RUN_MAX = 256 };

enum byte_class {
    CLASS_OTHER, /* operators, punctuation */
    CLASS_BLANK,
    CLASS_LETTER, /* starts an identifier */
    CLASS_DIGIT,
    CLASS_DOT,
    CLASS_QUOTE,
    CLASS_DOUBLE_QUOTE,
    CLASS_DOLLAR,
    CLASS_DASH,
    CLASS_SLASH,
};

/* Ranges in initialisers are an extension of gcc and clang. */
__extension__ static const uint8_t classes[256] = {
    [' '] = CLASS_BLANK,          ['\t'] = CLASS_BLANK,
    ['\n'] = CLASS_BLANK,         ['\r'] = CLASS_BLANK,
    ['\f'] = CLASS_BLANK,         ['.'] = CLASS_DOT,
    ['\''] = CLASS_QUOTE,         ['"'] = CLASS_DOUBLE_QUOTE,
    ['$'] = CLASS_DOLLAR,         ['-'] = CLASS_DASH,
    ['/'] = CLASS_SLASH,          ['_'] = CLASS_LETTER,
    ['0' ... '9'] = CLASS_DIGIT,  ['a' ... 'z'] = CLASS_LETTER,
    ['A' ... 'Z'] = CLASS_LETTER, [0x80 ... 0xff] = CLASS_LETTER,
};

static inline enum byte_class class_of(struct sy_slice text, uint32_t at)
{
    return (enum byte_class)classes[(uint8_t)text.data[at]];
}

static inline bool is_at(struct sy_slice text, size_t at, char c)
{
    return at < text.bytes && text.data[at] == c;
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* ---- blanks and comments ---- */

static uint32_t line_comment_end(struct sy_slice text, uint32_t at)
{
    while (at < text.bytes && !is_newline(text.data[at]))
        at++;
    return at;
}

/* Block comments nest. An open one goes to the end and gives false. */
static bool block_comment_end(struct sy_slice text, uint32_t at, uint32_t *ret_end)
{
    uint32_t depth = 1;
    at += 2;
    while (at < text.bytes && depth > 0) {
        if (text.data[at] == '/' && is_at(text, (size_t)at + 1, '*')) {
            depth++;
            at += 2;
        } else if (text.data[at] == '*' && is_at(text, (size_t)at + 1, '/')) {
            depth--;
            at += 2;
        } else {
            at++;
        }
    }
    *ret_end = at < text.bytes ? at : (uint32_t)text.bytes;
    return depth == 0;
}

uint32_t sy_scan_skip_blank(struct sy_slice text, uint32_t at)
{
    while (at < text.bytes) {
        if (class_of(text, at) == CLASS_BLANK)
            at++;
        else if (text.data[at] == '-' && is_at(text, (size_t)at + 1, '-'))
            at = line_comment_end(text, at);
        else if (text.data[at] == '/' && is_at(text, (size_t)at + 1, '*'))
            (void)block_comment_end(text, at, &at);
        else
            break;
    }
    return at;
}

/* ---- quoted things ---- */

/*
 * 'a' and 'b' with a line break between them are one string; so they are with line comments in
 * between. Gives the place behind the opening quote of the next part, 0 when there is none.
 */
static uint32_t continuation(struct sy_slice text, uint32_t at)
{
    bool broken = false;
    while (at < text.bytes) {
        if (class_of(text, at) == CLASS_BLANK) {
            broken = broken || is_newline(text.data[at]);
            at++;
        } else if (text.data[at] == '-' && is_at(text, (size_t)at + 1, '-')) {
            at = line_comment_end(text, at);
        } else {
            break;
        }
    }
    return broken && is_at(text, at, '\'') ? at + 1 : 0;
}

/* Inside quotes: backslashes escape, two quotes are one (not so in bit strings). */
enum string_rules { RULE_PLAIN, RULE_DOUBLED, RULE_ESCAPES };

/* From behind the opening quote to behind the last closing one. */
static uint32_t string_end(struct sy_slice text, uint32_t at, enum string_rules rules)
{
    while (at < text.bytes) {
        char c = text.data[at++];
        if (c == '\\' && rules == RULE_ESCAPES) {
            at += at < text.bytes;
            continue;
        }
        if (c != '\'')
            continue;
        if (rules != RULE_PLAIN && is_at(text, at, '\'')) {
            at++;
            continue;
        }
        uint32_t next = continuation(text, at);
        if (next == 0)
            return at;
        at = next;
    }
    return at;
}

static uint32_t quoted_identifier_end(struct sy_slice text, uint32_t at)
{
    for (at++; at < text.bytes; at++) {
        if (text.data[at] != '"')
            continue;
        if (!is_at(text, (size_t)at + 1, '"'))
            return at + 1;
        at++;
    }
    return (uint32_t)text.bytes;
}

/* The length of $tag$ at `at`, 0 when no dollar quote starts there. */
static uint32_t dollar_tag_bytes(struct sy_slice text, uint32_t at)
{
    uint32_t end = at + 1;
    if (end < text.bytes && class_of(text, end) == CLASS_LETTER)
        while (end < text.bytes &&
               (class_of(text, end) == CLASS_LETTER || class_of(text, end) == CLASS_DIGIT))
            end++;
    return is_at(text, end, '$') ? end + 1 - at : 0;
}

static uint32_t dollar_string_end(struct sy_slice text, uint32_t at, uint32_t tag_bytes)
{
    uint32_t body = at + tag_bytes;
    const char *close = memmem(text.data + body, text.bytes - body, text.data + at, tag_bytes);
    if (close == NULL)
        return (uint32_t)text.bytes;
    return (uint32_t)(close - text.data) + tag_bytes;
}

/* ---- numbers and identifiers ---- */

static uint32_t digits_end(struct sy_slice text, uint32_t at)
{
    while (at < text.bytes && class_of(text, at) == CLASS_DIGIT)
        at++;
    return at;
}

static uint32_t number_end(struct sy_slice text, uint32_t at, bool *ret_integer)
{
    uint32_t end = digits_end(text, at);
    *ret_integer = true;
    /* 1..10 is a range of integers */
    if (is_at(text, end, '.') && !is_at(text, (size_t)end + 1, '.')) {
        *ret_integer = false;
        end = digits_end(text, end + 1);
    }
    if (end < text.bytes && (text.data[end] | 0x20) == 'e') {
        uint32_t power = end + 1;
        if (is_at(text, power, '+') || is_at(text, power, '-'))
            power++;
        if (power < text.bytes && class_of(text, power) == CLASS_DIGIT) {
            *ret_integer = false;
            end = digits_end(text, power);
        }
    }
    return end;
}

/* Whether digits without a sign are at most `max`, which has `max_count` digits. */
static bool at_most(const char *digits, uint32_t count, const char *max, uint32_t max_count)
{
    while (count > 1 && *digits == '0') {
        digits++;
        count--;
    }
    return count < max_count || (count == max_count && memcmp(digits, max, max_count) <= 0);
}

/* Most bytes of a statement pass here: a table of its own makes it one test a byte. */
__extension__ static const bool continues_identifier[256] = {
    ['0' ... '9'] = true,   ['a' ... 'z'] = true, ['A' ... 'Z'] = true,
    [0x80 ... 0xff] = true, ['_'] = true,         ['$'] = true,
};

static uint32_t identifier_end(struct sy_slice text, uint32_t at)
{
    const char *place = text.data + at, *end = text.data + text.bytes;
    while (place < end && continues_identifier[(uint8_t)*place])
        place++;
    return (uint32_t)(place - text.data);
}

/* ---- tokens ---- */

/* A letter that may be the prefix of a string; *ret_kind is set and the end given, or 0 for an
 * identifier. */
static uint32_t prefixed_string_end(struct sy_slice text, uint32_t at,
                                    enum sy_literal_kind *ret_kind)
{
    char lower = (char)(text.data[at] | 0x20);
    if (is_at(text, (size_t)at + 1, '\'')) {
        if (lower == 'e') {
            *ret_kind = SY_LITERAL_ESCAPE_STRING;
            return string_end(text, at + 2, RULE_ESCAPES);
        }
        if (lower == 'b' || lower == 'x') {
            *ret_kind = SY_LITERAL_BIT;
            return string_end(text, at + 2, RULE_PLAIN);
        }
    }
    if (lower == 'u' && is_at(text, (size_t)at + 1, '&') && is_at(text, (size_t)at + 2, '\'')) {
        *ret_kind = SY_LITERAL_ESCAPE_STRING;
        return string_end(text, at + 3, RULE_DOUBLED);
    }
    return 0;
}

struct token {
    uint32_t end;
    bool is_literal;
    bool is_wide; /* an integer beyond int4, which the grammar and the type system tell apart */
    enum sy_literal_kind kind;
};

static struct token number(struct sy_slice text, uint32_t at)
{
    struct token token = {.is_literal = true, .kind = SY_LITERAL_NUMBER};
    bool integer = false;
    token.end = number_end(text, at, &integer);
    if (integer && at_most(text.data + at, token.end - at, "9223372036854775807", 19)) {
        token.kind = SY_LITERAL_INTEGER;
        token.is_wide = !at_most(text.data + at, token.end - at, "2147483647", 10);
    }
    return token;
}

static struct token dollar(struct sy_slice text, uint32_t at)
{
    struct token token = {.end = at + 1, .kind = SY_LITERAL_DOLLAR_STRING};
    if ((size_t)at + 1 < text.bytes && class_of(text, at + 1) == CLASS_DIGIT) {
        token.end = digits_end(text, at + 1);
        return token;
    }
    uint32_t tag_bytes = dollar_tag_bytes(text, at);
    if (tag_bytes > 0) {
        token.is_literal = true;
        token.end = dollar_string_end(text, at, tag_bytes);
    }
    return token;
}

/* The token at `at`, which is no blank. Comments are not tokens. */
static inline struct token token_at(struct sy_slice text, uint32_t at, bool conforming)
{
    struct token token = {.end = at + 1};
    switch (class_of(text, at)) {
    case CLASS_LETTER:
        token.end = prefixed_string_end(text, at, &token.kind);
        token.is_literal = token.end != 0;
        if (token.end == 0)
            token.end = identifier_end(text, at + 1);
        break;
    case CLASS_DIGIT:
        return number(text, at);
    case CLASS_DOT:
        if (is_at(text, (size_t)at + 1, '.'))
            token.end = at + 2;
        else if ((size_t)at + 1 < text.bytes && class_of(text, at + 1) == CLASS_DIGIT)
            return number(text, at);
        break;
    case CLASS_QUOTE:
        token.is_literal = true;
        token.kind = conforming ? SY_LITERAL_STRING : SY_LITERAL_ESCAPE_STRING;
        token.end = string_end(text, at + 1, conforming ? RULE_DOUBLED : RULE_ESCAPES);
        break;
    case CLASS_DOUBLE_QUOTE:
        token.end = quoted_identifier_end(text, at);
        break;
    case CLASS_DOLLAR:
        return dollar(text, at);
    case CLASS_OTHER:
    case CLASS_BLANK:
    case CLASS_DASH:
    case CLASS_SLASH:
        break;
    }
    return token;
}

uint32_t sy_scan_token_end(struct sy_slice text, uint32_t at, bool standard_conforming_strings)
{
    return token_at(text, at, standard_conforming_strings).end;
}

/* Blanks comments in string[at, end), where `at` is behind the opening quote. */
static void blank_comments(char *text, uint32_t at, uint32_t end, enum string_rules rules)
{
    struct sy_slice string = {text, end};
    while (at < end) {
        char c = text[at++];
        if (c == '\\' && rules == RULE_ESCAPES) {
            at++;
        } else if (c == '\'' && rules != RULE_PLAIN && is_at(string, at, '\'')) {
            at++;
        } else if (c == '\'') {
            uint32_t next = continuation(string, at);
            for (uint32_t i = at; next != 0 && i + 1 < next; i++)
                if (text[i] == '-')
                    while (i < next && !is_newline(text[i]))
                        text[i++] = ' ';
            at = next != 0 ? next : end;
        }
    }
}

static void tame_string(char *text, uint32_t at, const struct token *token)
{
    if (text[token->end - 1] != '\'')
        return;
    const char *quote = memchr(text + at, '\'', token->end - at);
    enum string_rules rules = RULE_DOUBLED;
    if (token->kind == SY_LITERAL_BIT)
        rules = RULE_PLAIN;
    else if (token->kind == SY_LITERAL_ESCAPE_STRING && (text[at] | 0x20) != 'u')
        rules = RULE_ESCAPES;
    blank_comments(text, (uint32_t)(quote - text) + 1, token->end, rules);
}

/* The comments and blanks at `at`; gives the place behind them. */
static uint32_t tame_comments(char *text, uint32_t at, uint32_t bytes,
                              struct sy_scan_taming *taming)
{
    struct sy_slice slice = {text, bytes};
    while (at < bytes) {
        if (class_of(slice, at) == CLASS_BLANK) {
            at++;
        } else if (text[at] == '-' && is_at(slice, (size_t)at + 1, '-')) {
            at = line_comment_end(slice, at);
        } else if (text[at] == '/' && is_at(slice, (size_t)at + 1, '*')) {
            uint32_t end = 0;
            bool closed = block_comment_end(slice, at, &end);
            if (!closed)
                taming->open_comment = at;
            for (uint32_t i = at + 2; i < end - (closed ? 2 : 0); i++)
                if (text[i] == '/' || text[i] == '*')
                    text[i] = ' ';
            at = end;
        } else {
            break;
        }
    }
    return at;
}

struct sy_scan_taming sy_scan_tame(char *text, uint32_t bytes, bool standard_conforming_strings)
{
    struct sy_scan_taming taming = {UINT32_MAX, UINT32_MAX};
    struct sy_slice slice = {text, bytes};
    uint32_t run = 0;
    uint32_t at = 0;
    while ((at = tame_comments(text, at, bytes, &taming)) < bytes) {
        struct token token = token_at(slice, at, standard_conforming_strings);
        bool sign = text[at] == '+' || text[at] == '-';
        bool joined = at > 0 && (text[at - 1] == '+' || text[at - 1] == '-');
        run = sign && joined ? run + 1 : 0;
        if (run > OPERATOR_RUN_MAX && taming.long_operator == UINT32_MAX)
            taming.long_operator = at - run;
        if (token.is_literal)
            tame_string(text, at, &token);
        at = token.end;
    }
    return taming;
}

/* ---- the template ---- */

static bool add_literal(struct sy_scanner *s, uint32_t from, const struct token *token)
{
    if (s->literal_count == s->literal_capacity) {
        uint32_t capacity = s->literal_capacity == 0 ? 64 : s->literal_capacity * 2;
        struct sy_literal *grown = realloc(s->literals, (size_t)capacity * sizeof(*grown));
        if (grown == NULL)
            return false;
        s->literals = grown;
        s->literal_capacity = capacity;
    }
    s->literals[s->literal_count++] =
        (struct sy_literal){.kind = token->kind, .from = from, .to = token->end};
    if (s->literal_count > SY_LIMIT_TEMPLATE_LITERALS)
        s->bypass = true;
    return true;
}

static void add_template(struct sy_scanner *s, const char *text, uint32_t bytes)
{
    memcpy(s->template_text + s->template_bytes, text, bytes);
    s->template_bytes += bytes;
}

/* Room for the longest template: a one-byte literal becomes two bytes. */
static bool reserve(struct sy_scanner *s, size_t text_bytes)
{
    size_t need = 2 * text_bytes + 2;
    if (need <= s->template_capacity)
        return true;
    if (need < 4096)
        need = 4096;
    char *grown = realloc(s->template_text, need);
    if (grown == NULL)
        return false;
    s->template_text = grown;
    s->template_capacity = (uint32_t)need;
    return true;
}

bool sy_scan_text(struct sy_scanner *s, struct sy_slice text, bool standard_conforming_strings)
{
    s->literal_count = s->template_bytes = 0;
    s->bypass = text.bytes > SY_LIMIT_TEMPLATE_BYTES;
    if (!s->bypass && !reserve(s, text.bytes))
        return false;
    uint32_t at = sy_scan_skip_blank(text, 0);
    uint32_t copied = at; /* where the text not yet in the template starts */
    s->body_from = s->body_to = at;
    while (at < text.bytes) {
        enum byte_class class = class_of(text, at);
        if (class == CLASS_BLANK) {
            at++;
            continue;
        }
        if ((class == CLASS_DASH || class == CLASS_SLASH) && sy_scan_skip_blank(text, at) != at) {
            at = sy_scan_skip_blank(text, at);
            continue;
        }
        struct token token = token_at(text, at, standard_conforming_strings);
        if (token.is_literal) {
            if (!add_literal(s, at, &token))
                return false;
            if (!s->bypass) {
                const char mark[2] = {SY_SCAN_MARK,
                                      (char)((token.is_wide ? 'a' : '0') + (int)token.kind)};
                add_template(s, text.data + copied, at - copied);
                add_template(s, mark, sizeof(mark));
            }
            copied = token.end;
        }
        at = s->body_to = token.end;
    }
    if (!s->bypass && s->body_to > copied)
        add_template(s, text.data + copied, s->body_to - copied);
    return true;
}

void sy_scanner_release(struct sy_scanner *scanner)
{
    free(scanner->literals);
    free(scanner->template_text);
    *scanner = (struct sy_scanner){0};
}

/* ---- hints ---- */

static bool starts_with(struct sy_slice text, const char *word)
{
    size_t bytes = strlen(word);
    return text.bytes >= bytes && strncasecmp(text.data, word, bytes) == 0;
}

static struct sy_slice trimmed(struct sy_slice text)
{
    while (text.bytes > 0 && (classes[(uint8_t)text.data[0]] == CLASS_BLANK || *text.data == ','))
        text = (struct sy_slice){text.data + 1, text.bytes - 1};
    return text;
}

static struct sy_slice cut(struct sy_slice text, size_t bytes)
{
    return (struct sy_slice){text.data + bytes, text.bytes - bytes};
}

/* The value at the start of *text, plain up to a blank or comma, or in single quotes; moves *text
 * behind it. False: a quote is not closed. */
static bool hint_value(struct sy_slice *text, struct sy_slice *ret_value)
{
    struct sy_slice value = *text;
    if (text->bytes > 0 && text->data[0] == '\'') {
        const char *close = memchr(text->data + 1, '\'', text->bytes - 1);
        value.data = text->data + 1;
        value.bytes = close != NULL ? (size_t)(close - value.data) : text->bytes - 1;
        *text = cut(*text, value.bytes + (close != NULL ? 2 : 1));
        *ret_value = value;
        return close != NULL;
    }
    value.bytes = 0;
    while (value.bytes < text->bytes && text->data[value.bytes] != ',' &&
           classes[(uint8_t)text->data[value.bytes]] != CLASS_BLANK)
        value.bytes++;
    *text = cut(*text, value.bytes);
    *ret_value = value;
    return true;
}

/* One hint of a comment. NULL: it was taken; else what is wrong with it. */
static const char *take_hint(struct sy_slice *text, struct sy_hints *hints)
{
    struct sy_slice value = {0}, *named = NULL;
    bool role = starts_with(*text, "role=");
    if (starts_with(*text, "shard="))
        named = &hints->shard;
    else if (starts_with(*text, "key="))
        named = &hints->key;
    if (named == NULL && !role)
        return "unknown hint";
    *text =
        cut(*text, (size_t)((const char *)memchr(text->data, '=', text->bytes) + 1 - text->data));
    if (!hint_value(text, &value) || value.bytes == 0)
        return "hint without a value, or with an open quote";
    if (named != NULL) {
        if (hints->shard.bytes > 0 || hints->key.bytes > 0)
            return "second hint for the shard";
        *named = value;
        return NULL;
    }
    if (hints->role != SY_HINT_ROLE_NONE)
        return "second hint for the role";
    if (sy_slice_eq(value, SY_SLICE("primary")))
        hints->role = SY_HINT_ROLE_PRIMARY;
    else if (sy_slice_eq(value, SY_SLICE("replica")))
        hints->role = SY_HINT_ROLE_REPLICA;
    return hints->role == SY_HINT_ROLE_NONE ? "unknown role in hint" : NULL;
}

static enum sy_status wrong_hint(struct sy_slice text, struct sy_slice hint, const char *what,
                                 struct sy_err *err)
{
    struct sy_slice rest = hint, word;
    (void)hint_value(&rest, &word);
    size_t bytes = word.bytes < 100 ? word.bytes : 100;
    (void)sy_err_set(err, SY_E_SYNTAX, "%s: \"%.*s\"", what, (int)bytes, word.data);
    sy_err_hint(err,
                "Hints are shard=NAME, key=VALUE and role=primary or role=replica; hints = false "
                "of the database turns them off.");
    int position = 1;
    for (const char *at = text.data; at < hint.data; at++)
        position += ((uint8_t)*at & 0xc0) != 0x80;
    if (err != NULL)
        err->position = position;
    return SY_E_SYNTAX;
}

static enum sy_status comment_hints(struct sy_slice whole, struct sy_slice text,
                                    struct sy_hints *hints, struct sy_err *err)
{
    text = trimmed(text);
    if (!starts_with(text, "switchyard:"))
        return SY_OK;
    text = trimmed(cut(text, strlen("switchyard:")));
    while (text.bytes > 0) {
        struct sy_slice hint = text;
        const char *wrong = take_hint(&text, hints);
        if (wrong != NULL)
            return wrong_hint(whole, hint, wrong, err);
        text = trimmed(text);
    }
    return SY_OK;
}

enum sy_status sy_scan_hints(struct sy_slice text, struct sy_hints *ret_hints, struct sy_err *err)
{
    struct sy_hints hints = {0};
    uint32_t at = 0, end = 0;
    while (at < text.bytes) {
        if (class_of(text, at) == CLASS_BLANK) {
            at++;
            continue;
        }
        if (text.data[at] != '/' || !is_at(text, (size_t)at + 1, '*') ||
            !block_comment_end(text, at, &end))
            break;
        struct sy_slice comment = {text.data + at + 2, end - at - 4};
        enum sy_status status = comment_hints(text, comment, &hints, err);
        if (status != SY_OK)
            return status;
        at = end;
    }
    *ret_hints = hints;
    return SY_OK;
}
