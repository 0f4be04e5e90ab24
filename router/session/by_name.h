/* What is kept per user and per database, under one mutex. */
#ifndef SY_ROUTER_SESSION_BY_NAME_H
#define SY_ROUTER_SESSION_BY_NAME_H

#include <pthread.h>

#include "base/map.h"

struct sy_by_name {
    pthread_mutex_t mutex;
    struct sy_map users, databases; /* under it; values of sy_map_get_or_add() */
};

static inline void sy_by_name_init(struct sy_by_name *named)
{
    *named = (struct sy_by_name){0};
    pthread_mutex_init(&named->mutex, NULL);
}

static inline void sy_by_name_release(struct sy_by_name *named)
{
    sy_map_release_values(&named->users);
    sy_map_release_values(&named->databases);
    pthread_mutex_destroy(&named->mutex);
}

#endif
