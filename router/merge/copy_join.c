/* Walks a binary COPY in pieces; see copy_join.h. */
#include "router/merge/copy_join.h"

#include <string.h>

enum copy_join_state { HEADER, EXTENSION, COUNT, LENGTH, VALUE, END };

enum { TRAILER = 0xffff };

static const char signature[11] = {'P',  'G',        'C',  'O',  'P', 'Y',
                                   '\n', (char)0xff, '\r', '\n', '\0'};

static uint32_t number(const char *at, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (uint8_t)at[i];
    return value;
}

void sy_copy_join_begin(struct sy_copy_join *join, bool first, bool last)
{
    *join = (struct sy_copy_join){.first = first, .last = last};
}

static size_t item_bytes(const struct sy_copy_join *join)
{
    return join->state == HEADER ? SY_COPY_JOIN_HEADER_BYTES : join->state == COUNT ? 2 : 4;
}

static void next_field(struct sy_copy_join *join)
{
    join->state = join->fields == 0 ? COUNT : LENGTH;
}

/* An item is whole. */
static bool take_item(struct sy_copy_join *join, struct sy_buf *out)
{
    size_t bytes = join->have;
    join->have = 0;
    switch ((enum copy_join_state)join->state) {
    case HEADER:
        if (memcmp(join->item, signature, sizeof(signature)) != 0)
            return false;
        join->left = number(join->item + 15, 4);
        join->state = join->left > 0 ? EXTENSION : COUNT;
        if (join->first)
            sy_buf_append(out, join->item, bytes);
        return true;
    case COUNT:
        join->fields = number(join->item, 2);
        if (join->fields == TRAILER) {
            join->state = END;
            if (join->last)
                sy_buf_append(out, join->item, bytes);
            return true;
        }
        sy_buf_append(out, join->item, bytes);
        next_field(join);
        return true;
    case LENGTH:
        join->left = number(join->item, 4);
        join->fields--;
        sy_buf_append(out, join->item, bytes);
        if (join->left == UINT32_MAX || join->left == 0)
            next_field(join);
        else
            join->state = VALUE;
        return join->left == UINT32_MAX || join->left <= INT32_MAX;
    case EXTENSION:
    case VALUE:
    case END:
    default:
        return false;
    }
}

bool sy_copy_join_feed(struct sy_copy_join *join, const char *data, size_t bytes,
                       struct sy_buf *out)
{
    while (bytes > 0) {
        if (join->state == END)
            return false;
        bool run = join->state == EXTENSION || join->state == VALUE;
        size_t wanted = run ? join->left : item_bytes(join) - join->have;
        size_t taken = wanted < bytes ? wanted : bytes;
        if (!run) {
            memcpy(join->item + join->have, data, taken);
            join->have = (uint8_t)(join->have + taken);
            if (taken == wanted && !take_item(join, out))
                return false;
        } else {
            if (join->state == VALUE || join->first)
                sy_buf_append(out, data, taken);
            join->left -= (uint32_t)taken;
            if (join->left == 0 && join->state == VALUE)
                next_field(join);
            else if (join->left == 0)
                join->state = COUNT;
        }
        data += taken;
        bytes -= taken;
    }
    return true;
}
