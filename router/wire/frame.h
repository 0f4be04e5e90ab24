/*
 * Frames of protocol 3.0: one type byte, a 32-bit length that counts itself, a body. Pure: walks
 * received bytes without copying them, whatever the boundaries of the receives.
 *
 * Source: PostgreSQL 15 manual, chapter 55 "Frontend/Backend Protocol".
 */
#ifndef SY_ROUTER_WIRE_FRAME_H
#define SY_ROUTER_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SY_FRAME_HEADER_BYTES = 5 };

/* Remembers where in a frame the stream stands between receives. All zero: at a frame boundary. */
struct sy_frame_walker {
    uint8_t header[SY_FRAME_HEADER_BYTES];
    uint8_t header_bytes;    /* of a header that is split over receives */
    char type;               /* of the frame being walked, 0: none */
    uint32_t body_bytes;     /* of that frame (length - 4) */
    uint32_t body_left;      /* not yet seen */
    uint32_t body_bytes_max; /* 0: SY_LIMIT_MESSAGE_BYTES; pre-authentication:
                                SY_LIMIT_PREAUTH_MESSAGE_BYTES */
};

/* A run of one frame inside the bytes at hand. */
struct sy_frame_part {
    char type;
    bool starts; /* the frame's first byte (its type) lies in or before this run (a split header:
                    see walker) */
    bool ends;   /* the frame's last byte lies in this run */
    uint32_t body_bytes;   /* of the whole frame */
    uint32_t from, to;     /* bytes of the input that belong to the frame, header bytes included */
    const char *body;      /* body bytes in this run */
    uint32_t body_run;     /* how many */
    uint8_t header_before; /* starts: header bytes that came in earlier receives:
                              walker->header[0..header_before) */
};

/*
 * Takes the next run from data[*offset..bytes). Returns false when the input is used up. A frame
 * whose header is split gives its first part when the header is complete: header bytes already
 * consumed from the earlier receive are in walker->header, part->header_before of them. *ret_error
 * is SY_OK when the input was just used up. Errors (ret_error set, returns false, and so does every
 * later call): a length below 4 or above the maximum: SY_E_PROTOCOL.
 */
bool sy_frame_next(struct sy_frame_walker *walker, const char *data, uint32_t bytes,
                   uint32_t *offset, struct sy_frame_part *ret_part, enum sy_status *ret_error);

/* True when the stream stands between two frames. */
static inline bool sy_frame_at_boundary(const struct sy_frame_walker *walker)
{
    return walker->body_left == 0 && walker->header_bytes == 0;
}

/*
 * Skips as many whole frames as possible whose types are in `mask` (bit (type - 'A') for 'A'..'z'),
 * for forwarding runs of DataRow and CopyData without looking at each: returns the offset after the
 * last whole frame skipped and counts them. Only valid when the walker stands at a boundary.
 */
uint32_t sy_frame_skip_run(const char *data, uint32_t bytes, uint32_t offset, uint64_t mask,
                           uint32_t *ret_frames);
#define SY_FRAME_MASK(type) (UINT64_C(1) << ((type) - 'A'))

#endif
