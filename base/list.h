/* Intrusive doubly linked list with a sentinel. A node is in one list at most; an unlinked node
 * points at itself. */
#ifndef SY_BASE_LIST_H
#define SY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct sy_list {
    struct sy_list *next, *prev;
};

#define sy_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define sy_list_each(node, list)                                                                   \
    for (struct sy_list *node = (list)->next; node != (list); node = node->next)
/* The body may unlink or free `node`. */
#define sy_list_each_safe(node, list)                                                              \
    for (struct sy_list *node = (list)->next, *node##_next = node->next; node != (list);           \
         node = node##_next, node##_next = node->next)

static inline void sy_list_init(struct sy_list *node)
{
    node->next = node->prev = node;
}

static inline bool sy_list_empty(const struct sy_list *list)
{
    return list->next == list;
}

static inline void sy_list_append(struct sy_list *list, struct sy_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void sy_list_prepend(struct sy_list *list, struct sy_list *node)
{
    sy_list_append(list->next, node);
}

/* Unlinks; harmless on a node that is in no list. */
static inline void sy_list_remove(struct sy_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sy_list_init(node);
}

static inline struct sy_list *sy_list_pop(struct sy_list *list)
{
    if (sy_list_empty(list))
        return NULL;
    struct sy_list *node = list->next;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a node that was popped and freed is in no list */
    sy_list_remove(node);
    return node;
}

#endif
