/*
 * The first byte is how many cuts follow, each cut a byte; the rest is a stream. Walked in pieces
 * it gives the frames that it gives walked whole, and skipping a run ends where walking says that
 * frames end.
 */
#include <string.h>

#include "router/wire/frame.h"
#include "tests/fuzz/fuzz.h"

enum { BODY_MAX = 5000 };

/* What a walk saw, folded into a few numbers. */
struct summary {
    uint64_t frames, hash, bytes;
    uint32_t last_end; /* offset behind the last whole frame */
    bool failed;
};

static void fold(struct summary *summary, uint64_t value)
{
    summary->hash = (summary->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) >> 1;
}

static void fold_body(struct summary *summary, const char *body, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        fold(summary, (unsigned char)body[i]);
}

static void walk(struct sy_frame_walker *walker, const char *stream, uint32_t from, uint32_t to,
                 struct summary *summary)
{
    uint32_t bytes = to - from, offset = 0;
    char *piece = malloc(bytes == 0 ? 1 : bytes);
    FUZZ_CHECK(piece != NULL);
    if (bytes > 0)
        memcpy(piece, stream + from, bytes);
    struct sy_frame_part part;
    enum sy_status error;
    while (sy_frame_next(walker, piece, bytes, &offset, &part, &error)) {
        FUZZ_CHECK(part.to == offset && part.to <= bytes && part.from <= part.to);
        FUZZ_CHECK(part.body_run <= part.body_bytes && part.body_bytes <= BODY_MAX);
        FUZZ_CHECK(part.body + part.body_run == piece + part.to);
        if (part.starts) {
            fold(summary, (unsigned char)part.type);
            fold(summary, part.body_bytes);
            FUZZ_CHECK(part.header_before + (uint32_t)(part.body - (piece + part.from)) ==
                       SY_FRAME_HEADER_BYTES);
        }
        fold_body(summary, part.body, part.body_run);
        summary->bytes += part.body_run;
        if (part.ends) {
            summary->frames++;
            summary->last_end = from + part.to;
            FUZZ_CHECK(sy_frame_at_boundary(walker));
        }
    }
    summary->failed = error != SY_OK;
    FUZZ_CHECK(summary->failed || offset == bytes);
    free(piece);
}

static void check_skip(const char *stream, uint32_t bytes, const struct summary *whole)
{
    uint32_t frames = 0;
    uint32_t end = sy_frame_skip_run(stream, bytes, 0, UINT64_MAX, &frames);
    FUZZ_CHECK(end <= bytes && frames <= whole->frames + 1);
    /* Skipping knows no maximum, and stops at types that are no letters: never beyond what walking
     * gives. */
    if (!whole->failed)
        FUZZ_CHECK(end <= whole->last_end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0 || bytes > 100000)
        return 0;
    size_t cuts = data[0] % 8;
    if (bytes < 1 + cuts)
        return 0;
    const char *stream = (const char *)data + 1 + cuts;
    uint32_t stream_bytes = (uint32_t)(bytes - 1 - cuts);
    struct sy_frame_walker walker = {.body_bytes_max = BODY_MAX};
    struct summary whole = {.frames = 0}, pieces = {.frames = 0};
    walk(&walker, stream, 0, stream_bytes, &whole);
    check_skip(stream, stream_bytes, &whole);
    walker = (struct sy_frame_walker){.body_bytes_max = BODY_MAX};
    uint32_t at = 0;
    for (size_t i = 0; i < cuts && !pieces.failed; i++) {
        uint32_t left = stream_bytes - at;
        uint32_t run = data[1 + i] < left ? data[1 + i] : left;
        walk(&walker, stream, at, at + run, &pieces);
        at += run;
    }
    if (!pieces.failed)
        walk(&walker, stream, at, stream_bytes, &pieces);
    FUZZ_CHECK(whole.failed == pieces.failed && whole.frames == pieces.frames);
    FUZZ_CHECK(whole.hash == pieces.hash && whole.bytes == pieces.bytes);
    FUZZ_CHECK(whole.last_end == pieces.last_end);
    return 0;
}
