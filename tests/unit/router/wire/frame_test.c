/* The frame walker gives the same frames whatever the boundaries of the receives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "router/wire/frame.h"
#include "router/wire/message.h"

enum { FRAMES_MAX = 16 };

struct seen {
    uint32_t frames, body_bytes[FRAMES_MAX];
    char types[FRAMES_MAX];
    struct sy_buf bytes; /* all of it again: headers kept by the walker, then the runs */
};

static void build_stream(struct sy_buf *out)
{
    sy_write_query(out, SY_SLICE("SELECT 1"));
    sy_write_simple(out, 'S');
    sy_write_data_row(out, (struct sy_slice[]){SY_SLICE("abc"), {NULL, 0}}, 2);
    sy_write_copy_data(out, SY_SLICE(""));
    sy_write_copy_data(out, SY_SLICE("some longer row of a copy\n"));
    sy_write_ready(out, 'I');
}

/* Each piece is a copy of its own, so that AddressSanitizer sees a read beyond it. */
static void feed(struct sy_frame_walker *walker, const char *data, size_t bytes, struct seen *seen)
{
    char *piece = malloc(bytes == 0 ? 1 : bytes);
    assert_non_null(piece);
    memcpy(piece, data, bytes);
    uint32_t offset = 0;
    struct sy_frame_part part;
    enum sy_status error;
    while (sy_frame_next(walker, piece, (uint32_t)bytes, &offset, &part, &error)) {
        if (part.starts) {
            assert_true(seen->frames < FRAMES_MAX);
            seen->types[seen->frames] = part.type;
            seen->body_bytes[seen->frames] = part.body_bytes;
            sy_buf_append(&seen->bytes, walker->header, part.header_before);
        } else {
            assert_int_equal(part.header_before, 0);
            assert_int_equal(part.type, seen->types[seen->frames]);
        }
        assert_int_equal(part.to, offset);
        assert_ptr_equal(part.body + part.body_run, piece + part.to);
        sy_buf_append(&seen->bytes, piece + part.from, part.to - part.from);
        if (part.ends)
            seen->frames++;
    }
    assert_int_equal(error, SY_OK);
    assert_int_equal(offset, bytes);
    free(piece);
}

static void check_seen(const struct seen *seen, const struct sy_buf *stream)
{
    assert_int_equal(seen->frames, 6);
    assert_memory_equal(seen->types, "QSDddZ", 6);
    assert_int_equal(seen->body_bytes[3], 0);
    assert_int_equal(seen->bytes.bytes, stream->bytes);
    assert_memory_equal(seen->bytes.data, stream->data, stream->bytes);
}

static void walks_the_same_frames_when_cut_at_any_two_places(void **state)
{
    (void)state;
    struct sy_buf stream = {.data = NULL};
    build_stream(&stream);
    for (size_t a = 0; a <= stream.bytes; a++)
        for (size_t b = a; b <= stream.bytes; b++) {
            struct seen seen = {.frames = 0};
            struct sy_frame_walker walker = {.type = 0};
            feed(&walker, stream.data, a, &seen);
            feed(&walker, stream.data + a, b - a, &seen);
            feed(&walker, stream.data + b, stream.bytes - b, &seen);
            check_seen(&seen, &stream);
            assert_true(sy_frame_at_boundary(&walker));
            sy_buf_release(&seen.bytes);
        }
    sy_buf_release(&stream);
}

static void walks_the_same_frames_byte_by_byte(void **state)
{
    (void)state;
    struct sy_buf stream = {.data = NULL};
    build_stream(&stream);
    struct seen seen = {.frames = 0};
    struct sy_frame_walker walker = {.type = 0};
    for (size_t i = 0; i < stream.bytes; i++)
        feed(&walker, stream.data + i, 1, &seen);
    check_seen(&seen, &stream);
    sy_buf_release(&seen.bytes);
    sy_buf_release(&stream);
}

static void refuses_lengths_out_of_range_for_good(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        char header[5];
        uint32_t max;
        bool ok;
    } rows[] = {
        {"zero", {'Q', 0, 0, 0, 0}, 0, false},
        {"three", {'Q', 0, 0, 0, 3}, 0, false},
        {"four", {'Q', 0, 0, 0, 4}, 0, true},
        {"negative", {'Q', -1, -1, -1, -1}, 0, false},
        {"two gigabytes", {'Q', 0x7f, -1, -1, -1}, 0, false},
        {"the maximum", {'Q', 0x40, 0, 0, 3}, 0, true},
        {"one more", {'Q', 0x40, 0, 0, 4}, 0, false},
        {"at a small maximum", {'Q', 0, 0, 0, 14}, 10, true},
        {"beyond a small maximum", {'Q', 0, 0, 0, 15}, 10, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (uint32_t cut = 0; cut <= 5; cut++) {
            print_message("%s, cut at %u\n", rows[i].label, cut);
            struct sy_frame_walker walker = {.body_bytes_max = rows[i].max};
            struct sy_frame_part part;
            enum sy_status error;
            uint32_t offset = 0;
            bool got = sy_frame_next(&walker, rows[i].header, cut, &offset, &part, &error);
            if (!got && error == SY_OK) {
                offset = 0;
                got = sy_frame_next(&walker, rows[i].header + cut, 5 - cut, &offset, &part, &error);
            }
            assert_int_equal(got, rows[i].ok);
            if (rows[i].ok)
                continue;
            assert_int_equal(error, SY_E_PROTOCOL);
            offset = 0;
            assert_false(sy_frame_next(&walker, "S\0\0\0\4", 5, &offset, &part, &error));
            assert_int_equal(error, SY_E_PROTOCOL);
        }
}

static void skips_only_whole_frames_of_the_mask(void **state)
{
    (void)state;
    struct sy_buf stream = {.data = NULL};
    sy_write_data_row(&stream, (struct sy_slice[]){SY_SLICE("a")}, 1);
    uint32_t first = (uint32_t)stream.bytes;
    sy_write_data_row(&stream, (struct sy_slice[]){SY_SLICE("bb")}, 1);
    uint32_t rows = (uint32_t)stream.bytes;
    sy_write_command_complete(&stream, "SELECT 2");
    uint32_t frames;
    uint64_t mask = SY_FRAME_MASK('D') | SY_FRAME_MASK('d');
    uint32_t all = (uint32_t)stream.bytes;
    assert_int_equal(sy_frame_skip_run(stream.data, all, 0, mask, &frames), rows);
    assert_int_equal(frames, 2);
    assert_int_equal(sy_frame_skip_run(stream.data, all, 0, UINT64_MAX, &frames), all);
    assert_int_equal(frames, 3);
    assert_int_equal(sy_frame_skip_run(stream.data, rows - 1, 0, mask, &frames), first);
    assert_int_equal(frames, 1);
    assert_int_equal(sy_frame_skip_run(stream.data, all, rows, mask, &frames), rows);
    assert_int_equal(frames, 0);
    assert_int_equal(sy_frame_skip_run("D\0\0\0\3", 5, 0, mask, &frames), 0);
    assert_int_equal(sy_frame_skip_run("\xff\0\0\0\4", 5, 0, UINT64_MAX, &frames), 0);
    sy_buf_release(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_the_same_frames_when_cut_at_any_two_places),
        cmocka_unit_test(walks_the_same_frames_byte_by_byte),
        cmocka_unit_test(refuses_lengths_out_of_range_for_good),
        cmocka_unit_test(skips_only_whole_frames_of_the_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
