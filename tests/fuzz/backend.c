/*
 * The first byte is a type, the rest a body. A message that is accepted is written again to the
 * same bytes; errors and notices, whose fields come in any order, to bytes that stay the same from
 * then on.
 */
#include <string.h>

#include "router/wire/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/recode.h"

static void check_notice(char type, const struct sy_buf *once)
{
    struct sy_buf twice = {.data = NULL};
    struct sy_err err;
    FUZZ_CHECK(recode_backend(type, once->data + 5, once->bytes - 5, &twice, &err) == SY_OK);
    FUZZ_CHECK(twice.bytes == once->bytes && memcmp(twice.data, once->data, once->bytes) == 0);
    sy_buf_release(&twice);
}

/* A count in a tag is what its last word says. */
static void check_tag(const char *body, size_t bytes)
{
    uint64_t rows;
    char text[32];
    struct sy_slice tag = {body, bytes - 1};
    if (!sy_tag_rows(tag, &rows))
        return;
    int digits = snprintf(text, sizeof(text), "%llu", (unsigned long long)rows);
    FUZZ_CHECK(tag.bytes > (size_t)digits);
    FUZZ_CHECK(memcmp(tag.data + tag.bytes - (size_t)digits, text, (size_t)digits) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    char type = (char)data[0];
    const char *body = (const char *)data + 1;
    struct sy_buf out = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    enum sy_status status = recode_backend(type, body, bytes - 1, &out, &err);
    if (status != SY_OK) {
        FUZZ_CHECK(status == SY_E_PROTOCOL || status == SY_E_UNSUPPORTED ||
                   status == SY_E_NO_MEMORY);
        FUZZ_CHECK(out.bytes == 0 && err.text[0] != '\0');
    } else if (type == 'E' || type == 'N') {
        FUZZ_CHECK(!out.failed && out.bytes >= 6);
        check_notice(type, &out);
    } else {
        FUZZ_CHECK(!out.failed && out.bytes == bytes + 4);
        FUZZ_CHECK(out.data[0] == type && sy_u32_at(out.data + 1, 0) == bytes + 3);
        FUZZ_CHECK(bytes == 1 || memcmp(out.data + 5, body, bytes - 1) == 0);
        if (type == 'C')
            check_tag(body, bytes - 1);
    }
    sy_buf_release(&out);
    return 0;
}
