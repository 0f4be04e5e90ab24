/* Client counts against the limits. Shared by all workers under one mutex. */
#include "router/session/clients.h"

#include <stdlib.h>

#include "router/session/by_name.h"

struct count {
    uint32_t clients;
};

struct sy_client_counts {
    struct sy_by_name named;
    uint32_t all;
};

enum sy_status sy_client_counts_new(struct sy_client_counts **ret_counts, struct sy_err *err)
{
    struct sy_client_counts *counts = calloc(1, sizeof(*counts));
    if (counts == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_by_name_init(&counts->named);
    *ret_counts = counts;
    return SY_OK;
}

void sy_client_counts_free(struct sy_client_counts **counts)
{
    struct sy_client_counts *gone = *counts;
    *counts = NULL;
    if (gone == NULL)
        return;
    sy_by_name_release(&gone->named);
    free(gone);
}

static void drop_if_unused(struct sy_map *map, struct sy_slice key, struct count *count)
{
    if (count == NULL || count->clients > 0)
        return;
    (void)sy_map_remove(map, key);
    free(count);
}

static bool full(uint32_t clients, uint32_t limit)
{
    return limit != 0 && clients >= limit;
}

enum sy_status sy_client_counts_enter(struct sy_client_counts *counts, struct sy_slice user,
                                      struct sy_slice database,
                                      const struct sy_client_limits *limits, struct sy_err *err)
{
    enum sy_status status = SY_OK;
    pthread_mutex_lock(&counts->named.mutex);
    struct count *by_user = sy_map_get_or_add(&counts->named.users, user, sizeof(*by_user));
    struct count *by_database =
        sy_map_get_or_add(&counts->named.databases, database, sizeof(*by_database));
    if (by_user == NULL || by_database == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    else if (full(counts->all, limits->all))
        status = sy_err_set(err, SY_E_TOO_MANY, "sorry, too many clients already");
    else if (full(by_user->clients, limits->user))
        status = sy_err_set(err, SY_E_TOO_MANY, "too many connections for user \"%.*s\"",
                            (int)user.bytes, user.data);
    else if (full(by_database->clients, limits->database))
        status = sy_err_set(err, SY_E_TOO_MANY, "too many connections for database \"%.*s\"",
                            (int)database.bytes, database.data);
    if (status == SY_OK && by_user != NULL && by_database != NULL) {
        counts->all++;
        by_user->clients++;
        by_database->clients++;
    } else {
        drop_if_unused(&counts->named.users, user, by_user);
        drop_if_unused(&counts->named.databases, database, by_database);
    }
    pthread_mutex_unlock(&counts->named.mutex);
    return status;
}

static void leave_one(struct sy_map *map, struct sy_slice key)
{
    struct count *count = sy_map_get(map, key);
    if (count == NULL)
        return;
    count->clients--;
    drop_if_unused(map, key, count);
}

void sy_client_counts_leave(struct sy_client_counts *counts, struct sy_slice user,
                            struct sy_slice database)
{
    pthread_mutex_lock(&counts->named.mutex);
    counts->all--;
    leave_one(&counts->named.users, user);
    leave_one(&counts->named.databases, database);
    pthread_mutex_unlock(&counts->named.mutex);
}
