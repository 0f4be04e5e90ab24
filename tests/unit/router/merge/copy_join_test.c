/* Several binary COPYs become one, wherever their bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "router/merge/copy_join.h"

#define SIGNATURE "PGCOPY\n\377\r\n\0"
#define HEADER SIGNATURE "\0\0\0\0\0\0\0\0"
#define LONG_HEADER SIGNATURE "\0\0\0\0\0\0\0\3abc"
#define TRAILER "\377\377"
#define ROW1 "\0\2\0\0\0\3one\377\377\377\377"
#define ROW2 "\0\2\0\0\0\0\0\0\0\1\377"
#define ROW3 "\0\0"

struct bytes {
    const char *data;
    size_t bytes;
};
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    const char *label;
    struct bytes streams[3];
    struct bytes wanted; /* data NULL: not a binary COPY */
} cases[] = {
    {"rows of all",
     {BYTES(HEADER ROW1 TRAILER), BYTES(HEADER ROW2 ROW3 TRAILER), BYTES(HEADER ROW1 TRAILER)},
     BYTES(HEADER ROW1 ROW2 ROW3 ROW1 TRAILER)},
    {"no rows at all",
     {BYTES(HEADER TRAILER), BYTES(HEADER TRAILER), BYTES(HEADER TRAILER)},
     BYTES(HEADER TRAILER)},
    {"an extension of the header",
     {BYTES(LONG_HEADER ROW1 TRAILER), BYTES(LONG_HEADER ROW2 TRAILER), BYTES(HEADER TRAILER)},
     BYTES(LONG_HEADER ROW1 ROW2 TRAILER)},
    {"another signature",
     {BYTES(HEADER TRAILER), BYTES("PGCOPX\n\377\r\n\0\0\0\0\0\0\0\0\0" TRAILER), BYTES("")},
     {NULL, 0}},
    {"something behind the trailer",
     {BYTES(HEADER TRAILER), BYTES(HEADER TRAILER "x"), BYTES("")},
     {NULL, 0}},
    {"a length that cannot be", {BYTES(HEADER "\0\1\200\0\0\0"), BYTES(""), BYTES("")}, {NULL, 0}},
};

/* Each piece stands in memory of its own size, so that reading past it is seen by a sanitizer. */
static bool feed(struct sy_copy_join *join, const struct bytes *stream, size_t piece,
                 struct sy_buf *out)
{
    for (size_t at = 0; at < stream->bytes; at += piece) {
        size_t bytes = stream->bytes - at < piece ? stream->bytes - at : piece;
        char *copy = malloc(bytes);
        assert_non_null(copy);
        memcpy(copy, stream->data + at, bytes);
        bool good = sy_copy_join_feed(join, copy, bytes, out);
        free(copy);
        if (!good)
            return false;
    }
    return true;
}

static void several_become_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t piece = 1; piece < 50; piece++) {
            struct sy_copy_join join;
            struct sy_buf out = {0};
            bool good = true;
            for (int s = 0; s < 3 && good; s++) {
                sy_copy_join_begin(&join, s == 0, s == 2);
                good = feed(&join, &cases[i].streams[s], piece, &out);
            }
            if (good != (cases[i].wanted.data != NULL))
                fail_msg("%s, pieces of %zu: %d", cases[i].label, piece, good);
            if (good && (out.bytes != cases[i].wanted.bytes ||
                         memcmp(out.data, cases[i].wanted.data, out.bytes) != 0))
                fail_msg("%s, pieces of %zu: other bytes", cases[i].label, piece);
            sy_buf_release(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(several_become_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
