/*
 * The first byte holds flags, the rest is a statement. Literals lie in order within the text; facts
 * through a cache that lives as long as the process equal facts made afresh, also for the same text
 * with other literals; every literal decodes or is refused.
 */
#include <string.h>

#include "base/buf.h"
#include "parser/facts_print.h"
#include "parser/parser.h"
#include "tests/fuzz/fuzz.h"

static struct sy_parser *parser;

static void check_literals(struct sy_slice text, const struct sy_scan *scan, bool conforming)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < scan->literal_count; i++) {
        const struct sy_literal *literal = &scan->literals[i];
        struct sy_arena arena = {.blocks = NULL};
        struct sy_slice value = {.data = NULL};
        struct sy_err err = {.status = SY_OK};
        FUZZ_CHECK(literal->from >= end && literal->to > literal->from);
        FUZZ_CHECK(literal->to <= text.bytes && literal->from >= scan->body_from);
        end = literal->to;
        if (sy_literal_decode(text, literal, conforming, &arena, &value, &err) == SY_OK)
            FUZZ_CHECK(value.bytes <= literal->to - literal->from);
        else
            FUZZ_CHECK(err.text[0] != '\0');
        sy_arena_release(&arena);
    }
}

/* Both ways must agree whenever both succeed. A text that only the cache takes is one that the
 * server refuses. */
static void compare(struct sy_slice text, const struct sy_parse_settings *settings)
{
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    struct sy_err err = {.status = SY_OK};
    if (sy_parser_parse(parser, text, settings, &template_, &scan, &err) != SY_OK) {
        FUZZ_CHECK(err.text[0] != '\0');
        return;
    }
    check_literals(text, &scan, settings->standard_conforming_strings);
    struct sy_buf cached = {.data = NULL}, fresh = {.data = NULL};
    struct sy_arena arena = {.blocks = NULL};
    const struct sy_facts *facts = NULL;
    sy_facts_print(template_->facts, &cached);
    if (sy_parse_facts(text, scan.literals, scan.literal_count, &arena, &facts, &err) == SY_OK) {
        sy_facts_print(facts, &fresh);
        FUZZ_CHECK(cached.bytes == fresh.bytes);
        FUZZ_CHECK(cached.bytes == 0 || memcmp(cached.data, fresh.data, cached.bytes) == 0);
    }
    for (int32_t i = 0; i < template_->facts->stmt_count; i++) {
        const struct sy_stmt *stmt = &template_->facts->stmts[i];
        uint32_t from = sy_template_position(template_, &scan, stmt->text_from);
        uint32_t to = sy_template_position(template_, &scan, stmt->text_to);
        FUZZ_CHECK(from <= to && to <= text.bytes);
    }
    sy_buf_release(&cached);
    sy_buf_release(&fresh);
    sy_arena_release(&arena);
    sy_template_unref(parser, template_);
}

/* The text with each integer replaced by 7 and each plain string by 'x'. */
static void vary(struct sy_slice text, const struct sy_scan *scan, struct sy_buf *out)
{
    uint32_t copied = 0;
    for (uint32_t i = 0; i < scan->literal_count; i++) {
        const struct sy_literal *literal = &scan->literals[i];
        if (literal->kind != SY_LITERAL_INTEGER && literal->kind != SY_LITERAL_STRING)
            continue;
        sy_buf_append(out, text.data + copied, literal->from - copied);
        sy_buf_append_str(out, literal->kind == SY_LITERAL_INTEGER ? "7" : "'x'");
        copied = literal->to;
    }
    sy_buf_append(out, text.data + copied, text.bytes - copied);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_err err = {.status = SY_OK};
    const struct sy_parser_options options = {.cache_bytes_max = 1 << 20};
    if (parser == NULL)
        FUZZ_CHECK(sy_parser_new(&options, &parser, &err) == SY_OK);
    if (bytes == 0)
        return 0;
    struct sy_slice text = {(const char *)data + 1, bytes - 1};
    const struct sy_parse_settings settings = {
        .standard_conforming_strings = (data[0] & 1) == 0,
        .hints_enabled = (data[0] & 2) != 0,
    };
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    struct sy_buf other = {.data = NULL};
    compare(text, &settings);
    if (sy_parser_parse(parser, text, &settings, &template_, &scan, &err) == SY_OK) {
        vary(text, &scan, &other);
        sy_template_unref(parser, template_);
        compare((struct sy_slice){other.data, other.bytes}, &settings);
    }
    sy_buf_release(&other);
    return 0;
}
