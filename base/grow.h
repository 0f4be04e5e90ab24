/* Arrays that double when they are full. */
#ifndef SY_BASE_GROW_H
#define SY_BASE_GROW_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * The array with room for one more behind its `count`: `list` itself, or where it lives now.
 * `first`: how many an empty one begins with. NULL: no memory; `list` and *room are as they were.
 *
 *     struct thing *list = sy_grown(x->list, x->count, &x->room, 16, sizeof(*list));
 *     if (list == NULL)
 *         return false;
 *     x->list = list;
 */
static inline void *sy_grown(void *list, uint32_t count, uint32_t *room, uint32_t first,
                             size_t item_bytes)
{
    if (count < *room)
        return list;
    uint32_t more = *room == 0 ? first : *room * 2;
    void *grown = more <= *room ? NULL : realloc(list, more * item_bytes);
    if (grown != NULL)
        *room = more;
    return grown;
}

#endif
