/* The list of server connections of transactions over several shards. */
#include "router/topology/waits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "router/topology/topology.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sy_wait_member *list; /* under lock, as the next two */
static uint32_t list_count, list_max;
static _Atomic uint32_t condemned_count;

void sy_waits_join(uint32_t client, struct sy_node *node, uint32_t backend_pid, uint64_t now_us)
{
    uint64_t since_us = now_us;
    bool known = false;
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < list_count; i++) {
        if (list[i].client != client)
            continue;
        since_us = list[i].since_us;
        known = known || (list[i].node == node && list[i].backend_pid == backend_pid);
    }
    struct sy_wait_member *grown =
        known ? NULL : sy_grown(list, list_count, &list_max, 16, sizeof(*grown));
    if (grown != NULL) {
        list = grown;
        list[list_count++] = (struct sy_wait_member){.client = client,
                                                     .backend_pid = backend_pid,
                                                     .node = sy_node_ref(node),
                                                     .since_us = since_us};
    }
    pthread_mutex_unlock(&lock);
}

void sy_waits_leave(uint32_t client)
{
    pthread_mutex_lock(&lock);
    bool condemned = false;
    for (uint32_t i = list_count; i-- > 0;) {
        if (list[i].client != client)
            continue;
        condemned = condemned || list[i].condemned;
        sy_node_unref(list[i].node);
        list[i] = list[--list_count];
    }
    if (condemned)
        atomic_fetch_sub(&condemned_count, 1);
    if (list_count == 0) {
        free(list);
        list = NULL;
        list_max = 0;
    }
    pthread_mutex_unlock(&lock);
}

uint32_t sy_waits_members(struct sy_wait_member **ret_members)
{
    pthread_mutex_lock(&lock);
    uint32_t count = list_count;
    struct sy_wait_member *copy = count == 0 ? NULL : malloc(count * sizeof(*copy));
    if (copy == NULL)
        count = 0;
    else
        memcpy(copy, list, count * sizeof(*copy));
    for (uint32_t i = 0; i < count; i++)
        sy_node_ref(copy[i].node);
    pthread_mutex_unlock(&lock);
    *ret_members = copy;
    return count;
}

void sy_waits_free_members(struct sy_wait_member *members, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sy_node_unref(members[i].node);
    free(members);
}

void sy_waits_condemn(uint32_t client)
{
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < list_count; i++) {
        if (list[i].client != client)
            continue;
        if (!list[i].condemned)
            atomic_fetch_add(&condemned_count, 1);
        list[i].condemned = true;
        break;
    }
    pthread_mutex_unlock(&lock);
}

bool sy_waits_any_condemned(void)
{
    return atomic_load_explicit(&condemned_count, memory_order_relaxed) > 0;
}

bool sy_waits_take_condemned(uint32_t client)
{
    bool taken = false;
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < list_count; i++)
        if (list[i].client == client && list[i].condemned) {
            list[i].condemned = false;
            atomic_fetch_sub(&condemned_count, 1);
            taken = true;
        }
    pthread_mutex_unlock(&lock);
    return taken;
}
