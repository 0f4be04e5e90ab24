/* Frame walking. Pure: holds nothing but the walker it is given. The two functions run for every
 * message. */
#include "router/wire/frame.h"

#include <string.h>

#include "base/limits.h"

enum { LENGTH_BYTES = 4 };

static inline uint32_t load_u32(const void *at)
{
    uint32_t wire;
    memcpy(&wire, at, sizeof(wire));
    return __builtin_bswap32(wire);
}

/* Opens the frame whose header is at `header`. False: the length is out of range. */
static inline bool open_frame(struct sy_frame_walker *walker, const void *header)
{
    uint32_t length = load_u32((const char *)header + 1);
    uint32_t max =
        walker->body_bytes_max != 0 ? walker->body_bytes_max : (uint32_t)SY_LIMIT_MESSAGE_BYTES;
    if (length < LENGTH_BYTES || length - LENGTH_BYTES > max)
        return false;
    walker->type = *(const char *)header;
    walker->body_bytes = walker->body_left = length - LENGTH_BYTES;
    return true;
}

/* Hands out the body bytes at hand of the open frame. */
static inline void take_body(struct sy_frame_walker *walker, const char *data, uint32_t bytes,
                             uint32_t *offset, struct sy_frame_part *ret_part)
{
    uint32_t at = *offset;
    uint32_t run = bytes - at < walker->body_left ? bytes - at : walker->body_left;
    walker->body_left -= run;
    ret_part->type = walker->type;
    ret_part->body_bytes = walker->body_bytes;
    ret_part->body = data + at;
    ret_part->body_run = run;
    ret_part->to = at + run;
    ret_part->ends = walker->body_left == 0;
    *offset = at + run;
}

/* A header that began in an earlier receive, or that ends in a later one. */
static bool next_split(struct sy_frame_walker *walker, const char *data, uint32_t bytes,
                       uint32_t *offset, struct sy_frame_part *ret_part)
{
    uint8_t before = walker->header_bytes;
    uint32_t wanted = (uint32_t)SY_FRAME_HEADER_BYTES - before;
    uint32_t run = bytes - *offset < wanted ? bytes - *offset : wanted;
    if (run > 0)
        memcpy(walker->header + before, data + *offset, run);
    walker->header_bytes = (uint8_t)(before + run);
    if (run < wanted) {
        *offset += run;
        return false;
    }
    /* A bad length leaves the header complete and unopened, which every later call finds again. */
    if (!open_frame(walker, walker->header))
        return false;
    ret_part->from = *offset;
    *offset += run;
    ret_part->starts = true;
    ret_part->header_before = before;
    walker->header_bytes = 0;
    take_body(walker, data, bytes, offset, ret_part);
    return true;
}

bool sy_frame_next(struct sy_frame_walker *walker, const char *data, uint32_t bytes,
                   uint32_t *offset, struct sy_frame_part *ret_part, enum sy_status *ret_error)
{
    *ret_error = SY_OK;
    uint32_t at = *offset;
    if (walker->body_left != 0) {
        if (at == bytes)
            return false;
        ret_part->from = at;
        ret_part->starts = false;
        ret_part->header_before = 0;
        take_body(walker, data, bytes, offset, ret_part);
        return true;
    }
    if (walker->header_bytes == 0 && bytes - at >= SY_FRAME_HEADER_BYTES) {
        if (!open_frame(walker, data + at)) {
            memcpy(walker->header, data + at, SY_FRAME_HEADER_BYTES);
            walker->header_bytes = SY_FRAME_HEADER_BYTES;
            *ret_error = SY_E_PROTOCOL;
            return false;
        }
        ret_part->from = at;
        ret_part->starts = true;
        ret_part->header_before = 0;
        *offset = at + SY_FRAME_HEADER_BYTES;
        take_body(walker, data, bytes, offset, ret_part);
        return true;
    }
    if (next_split(walker, data, bytes, offset, ret_part))
        return true;
    if (walker->header_bytes == SY_FRAME_HEADER_BYTES)
        *ret_error = SY_E_PROTOCOL;
    return false;
}

uint32_t sy_frame_skip_run(const char *data, uint32_t bytes, uint32_t offset, uint64_t mask,
                           uint32_t *ret_frames)
{
    uint32_t frames = 0;
    while (bytes - offset >= SY_FRAME_HEADER_BYTES) {
        int bit = (unsigned char)data[offset] - 'A';
        if (bit < 0 || bit > 'z' - 'A' || (mask >> bit & 1) == 0)
            break;
        uint32_t length = load_u32(data + offset + 1);
        if (length < LENGTH_BYTES || length > bytes - offset - 1)
            break;
        offset += 1 + length;
        frames++;
    }
    *ret_frames = frames;
    return offset;
}
