/*
 * A server's stream against what was asked: the first byte says how many requests, their letters
 * follow, then the stream. Walked as the session walks it: every legal message belongs to the
 * request at the head, no request is answered twice, what is illegal ends the walk, and where the
 * receives are cut changes nothing.
 */
#include <string.h>

#include "router/wire/answers.h"
#include "router/wire/frame.h"
#include "router/wire/states.h"
#include "tests/fuzz/fuzz.h"

enum { REQUESTS_MAX = 16 };

struct walk {
    struct sy_frame_walker walker;
    char requests[REQUESTS_MAX];
    uint8_t first, count;
    bool described, copying_in, copying_out, errored, over;
    uint64_t seen; /* a hash of what was legal */
};

static enum sy_answers_to answers_to(const struct walk *walk)
{
    if (walk->first == walk->count)
        return SY_ANSWERS_NOTHING;
    if (walk->errored)
        return SY_ANSWERS_SYNC;
    if (walk->copying_in)
        return SY_ANSWERS_COPY_IN;
    if (walk->copying_out)
        return SY_ANSWERS_COPY_OUT;
    switch (walk->requests[walk->first]) {
    case 'Q':
        return SY_ANSWERS_QUERY;
    case 'P':
        return SY_ANSWERS_PARSE;
    case 'B':
        return SY_ANSWERS_BIND;
    case 'd':
        return walk->described ? SY_ANSWERS_DESCRIBE : SY_ANSWERS_DESCRIBE_STATEMENT;
    case 'D':
        return SY_ANSWERS_DESCRIBE;
    case 'E':
        return SY_ANSWERS_EXECUTE;
    case 'C':
        return SY_ANSWERS_CLOSE;
    default:
        return SY_ANSWERS_SYNC;
    }
}

static void pop(struct walk *walk)
{
    FUZZ_CHECK(walk->first < walk->count);
    walk->first++;
    walk->described = walk->copying_in = walk->copying_out = walk->errored = false;
}

static void take(struct walk *walk, char type)
{
    char request = walk->first < walk->count ? walk->requests[walk->first] : 0;
    if (type == 'N' || type == 'S' || type == 'A')
        return;
    if (type == 'E' && request == 'Q') {
        walk->errored = true;
        return;
    }
    if (type == 'E') { /* the rest of the batch is skipped */
        while (walk->first < walk->count && walk->requests[walk->first] != 'S' &&
               walk->requests[walk->first] != 'Q')
            pop(walk);
        return;
    }
    enum sy_reply reply = sy_reply_of(request, type);
    FUZZ_CHECK(request != 0 && (reply == SY_REPLY_PART || reply == SY_REPLY_LAST ||
                                (request == 'Q' && type == 'V')));
    walk->described = walk->described || type == 't';
    walk->copying_in = type == 'G';
    walk->copying_out = type == 'H' || (walk->copying_out && type != 'c');
    if (reply == SY_REPLY_LAST)
        pop(walk);
}

static void feed(struct walk *walk, const char *data, uint32_t bytes)
{
    uint32_t at = 0;
    while (!walk->over && at < bytes) {
        struct sy_frame_part part;
        enum sy_status status;
        if (!sy_frame_next(&walk->walker, data, bytes, &at, &part, &status)) {
            walk->over = status != SY_OK;
            return;
        }
        if (!part.starts)
            continue;
        if (!sy_answer_is_legal(answers_to(walk), part.type, part.body_bytes)) {
            walk->over = true;
            return;
        }
        FUZZ_CHECK(part.body_bytes <= sy_answer_body_bytes_max(part.type));
        FUZZ_CHECK(sy_server_may_send(answers_to(walk) == SY_ANSWERS_NOTHING ? SY_SERVER_IDLE
                                      : walk->errored                        ? SY_SERVER_FAILED
                                      : walk->copying_out                    ? SY_SERVER_COPY_OUT
                                      : walk->copying_in                     ? SY_SERVER_COPY_IN
                                                                             : SY_SERVER_BUSY,
                                      part.type) == SY_FRAME_ACCEPT);
        take(walk, part.type);
        walk->seen = walk->seen * 31 + (unsigned char)part.type;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char letters[] = "QPBdDECS";
    struct walk whole = {0};
    if (bytes == 0 || bytes > 100000)
        return 0;
    whole.count = data[0] % (REQUESTS_MAX + 1);
    if (bytes < (size_t)whole.count + 2)
        return 0;
    for (uint8_t i = 0; i < whole.count; i++)
        whole.requests[i] = letters[data[1 + i] % 8];
    struct walk cut = whole;
    uint32_t piece = data[1 + whole.count] % 7 + 1u;
    const char *stream = (const char *)data + whole.count + 2;
    uint32_t left = (uint32_t)(bytes - whole.count - 2);
    feed(&whole, stream, left);
    for (uint32_t at = 0; at < left; at += piece)
        feed(&cut, stream + at, left - at < piece ? left - at : piece);
    FUZZ_CHECK(whole.seen == cut.seen && whole.first == cut.first && whole.over == cut.over);
    return 0;
}
