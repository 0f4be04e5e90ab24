/* The queue of received bytes that nobody has handled yet, and whole frames out of it. The worker's
 * thread. */
#include <arpa/inet.h>
#include <string.h>

#include "router/session/internal.h"

static uint32_t piece_bytes(const struct sy_piece *piece)
{
    return piece->to - piece->from;
}

uint32_t sy_input_bytes(const struct sy_piece pieces[2], uint8_t count)
{
    uint32_t bytes = 0;
    for (uint8_t i = 0; i < count; i++)
        bytes += piece_bytes(&pieces[i]);
    return bytes;
}

void sy_input_drop(struct sy_piece pieces[2], uint8_t *count)
{
    for (uint8_t i = 0; i < *count; i++)
        sy_chunk_unref(pieces[i].chunk);
    *count = 0;
}

static bool appendable(const struct sy_piece *piece, uint32_t bytes)
{
    return piece->chunk->refs == 1 && piece->chunk->provider == NULL &&
           piece->to == piece->chunk->bytes &&
           piece->chunk->capacity - piece->chunk->bytes >= bytes;
}

/* Makes one piece of all, with room for `more` bytes: a run of receives that belong to one long
 * frame. */
static bool merge(struct sy_piece pieces[2], uint8_t *count, uint32_t more)
{
    uint32_t bytes = sy_input_bytes(pieces, *count);
    if (more > UINT32_MAX / 2 - bytes)
        return false;
    uint32_t wanted = bytes + more;
    struct sy_chunk *chunk = sy_chunk_new(wanted < 4096         ? 8192
                                          : wanted * 2 > wanted ? wanted * 2
                                                                : wanted);
    if (chunk == NULL)
        return false;
    for (uint8_t i = 0; i < *count; i++) {
        memcpy(chunk->data + chunk->bytes, pieces[i].chunk->data + pieces[i].from,
               piece_bytes(&pieces[i]));
        chunk->bytes += piece_bytes(&pieces[i]);
    }
    sy_input_drop(pieces, count);
    pieces[0] = (struct sy_piece){chunk, 0, chunk->bytes};
    *count = 1;
    return true;
}

void sy_input_add(struct sy_piece pieces[2], uint8_t *count, struct sy_chunk *chunk, uint32_t from,
                  uint32_t to, bool *ret_no_memory)
{
    *ret_no_memory = false;
    uint32_t bytes = to - from;
    if (*count > 0 && appendable(&pieces[*count - 1], bytes)) {
        struct sy_piece *last = &pieces[*count - 1];
        memcpy(last->chunk->data + last->chunk->bytes, chunk->data + from, bytes);
        last->chunk->bytes += bytes;
        last->to += bytes;
        return;
    }
    if (*count < 2) {
        pieces[(*count)++] = (struct sy_piece){sy_chunk_ref(chunk), from, to};
        return;
    }
    if (!merge(pieces, count, bytes)) {
        *ret_no_memory = true;
        return;
    }
    sy_input_add(pieces, count, chunk, from, to, ret_no_memory);
}

/* Which messages there are, and which may be long, is known before a byte of a body is kept. */
static bool header_allowed(const struct sy_session *session, char type, uint32_t length,
                           struct sy_err *err)
{
    bool login = session->state < SY_SESSION_IDLE, copying = session->state == SY_SESSION_COPY_IN;
    if (type == 0 || strchr(login ? "p" : copying ? "dcfHSX" : "QPBDECHSFXdcf", type) == NULL) {
        if (login)
            (void)sy_err_set(err, SY_E_PROTOCOL, "expected a password message");
        else if (copying)
            (void)sy_err_set(err, SY_E_PROTOCOL,
                             "unexpected message type 0x%02X during COPY from stdin",
                             (unsigned char)type);
        else
            (void)sy_err_set(err, SY_E_PROTOCOL, "invalid frontend message type %d",
                             (unsigned char)type);
        return false;
    }
    uint32_t most = login                           ? SY_LIMIT_PREAUTH_MESSAGE_BYTES
                    : strchr("QPBFd", type) != NULL ? SY_LIMIT_MESSAGE_BYTES
                                                    : SY_LIMIT_SHORT_MESSAGE_BYTES;
    if (length >= 4 && length <= most)
        return true;
    (void)sy_err_set(err, SY_E_LIMIT, "invalid message length");
    return false;
}

bool sy_input_frame(struct sy_session *session, struct sy_frame *ret_frame, struct sy_err *err)
{
    session->wants_more = true;
    if (session->input_count == 0)
        return false;
    struct sy_piece *first = &session->input[0];
    if (session->input_count > 1 && piece_bytes(first) < SY_FRAME_HEADER_BYTES) {
        if (!merge(session->input, &session->input_count, 0)) {
            (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
            return false;
        }
    }
    if (piece_bytes(first) < SY_FRAME_HEADER_BYTES)
        return false;
    const char *at = first->chunk->data + first->from;
    uint32_t length;
    memcpy(&length, at + 1, sizeof(length));
    length = ntohl(length);
    if (!header_allowed(session, *at, length, err))
        return false;
    session->wants_more = sy_input_bytes(session->input, session->input_count) < length + 1;
    if (session->wants_more) {
        if (length > SY_LIMIT_UNCOUNTED_MESSAGE_BYTES)
            (void)sy_buffers_frame(session, length, err);
        return false;
    }
    if (piece_bytes(first) < length + 1 && !merge(session->input, &session->input_count, 0)) {
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    at = first->chunk->data + first->from;
    *ret_frame = (struct sy_frame){.type = *at,
                                   .chunk = first->chunk,
                                   .from = first->from,
                                   .to = first->from + length + 1,
                                   .body = {at + SY_FRAME_HEADER_BYTES, length - 4}};
    return true;
}

void sy_input_consume(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_piece *first = &session->input[0];
    first->from = frame->to;
    if (first->from < first->to)
        return;
    sy_chunk_unref(first->chunk);
    session->input[0] = session->input[1];
    session->input_count--;
}

/* Puts a frame that was consumed back to the front. Takes over the piece's reference. */
void sy_input_unread(struct sy_session *session, struct sy_piece piece)
{
    struct sy_piece *first = &session->input[0];
    if (session->input_count > 0 && first->chunk == piece.chunk && first->from == piece.to) {
        first->from = piece.from;
        sy_chunk_unref(piece.chunk);
        return;
    }
    if (session->input_count == 2 && !merge(session->input, &session->input_count, 0)) {
        sy_chunk_unref(piece.chunk);
        sy_session_end(session);
        return;
    }
    session->input[1] = session->input[0];
    session->input[0] = piece;
    session->input_count++;
}
