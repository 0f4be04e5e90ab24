/* The cancel registry. Shared by all workers under one mutex. */
#include "router/session/cancel.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

struct entry {
    uint32_t pid, worker;
    uint8_t key[SY_CANCEL_KEY_BYTES];
};

struct sy_cancel_registry {
    pthread_mutex_t mutex;
    struct sy_map entries; /* by pid */
};

static struct sy_slice pid_key(const uint32_t *pid)
{
    return (struct sy_slice){(const char *)pid, sizeof(*pid)};
}

enum sy_status sy_cancel_registry_new(struct sy_cancel_registry **ret_registry, struct sy_err *err)
{
    struct sy_cancel_registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pthread_mutex_init(&registry->mutex, NULL);
    *ret_registry = registry;
    return SY_OK;
}

void sy_cancel_registry_free(struct sy_cancel_registry **registry)
{
    struct sy_cancel_registry *gone = *registry;
    *registry = NULL;
    if (gone == NULL)
        return;
    sy_map_release_values(&gone->entries);
    pthread_mutex_destroy(&gone->mutex);
    free(gone);
}

enum sy_status sy_cancel_register(struct sy_cancel_registry *registry, uint32_t worker,
                                  uint32_t *ret_pid, uint8_t ret_key[SY_CANCEL_KEY_BYTES],
                                  struct sy_err *err)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    entry->worker = worker;
    pthread_mutex_lock(&registry->mutex);
    bool drawn = RAND_bytes(entry->key, sizeof(entry->key)) == 1;
    do {
        drawn = drawn && RAND_bytes((unsigned char *)&entry->pid, sizeof(entry->pid)) == 1;
        entry->pid &= 0x7fffffff; /* drivers read it as a positive int32 */
    } while (drawn &&
             (entry->pid == 0 || sy_map_get(&registry->entries, pid_key(&entry->pid)) != NULL));
    enum sy_status status =
        drawn ? sy_map_put(&registry->entries, pid_key(&entry->pid), entry, NULL, err)
              : sy_err_set(err, SY_E_INTERNAL, "no random numbers for a cancel key");
    if (status == SY_OK) {
        *ret_pid = entry->pid;
        memcpy(ret_key, entry->key, sizeof(entry->key));
    }
    pthread_mutex_unlock(&registry->mutex);
    if (status != SY_OK)
        free(entry);
    return status;
}

void sy_cancel_unregister(struct sy_cancel_registry *registry, uint32_t pid)
{
    pthread_mutex_lock(&registry->mutex);
    struct entry *entry = sy_map_remove(&registry->entries, pid_key(&pid));
    pthread_mutex_unlock(&registry->mutex);
    free(entry);
}

bool sy_cancel_lookup(struct sy_cancel_registry *registry, uint32_t pid, struct sy_slice key,
                      uint32_t *ret_worker)
{
    pthread_mutex_lock(&registry->mutex);
    const struct entry *entry = sy_map_get(&registry->entries, pid_key(&pid));
    bool found = entry != NULL && key.bytes == sizeof(entry->key) &&
                 CRYPTO_memcmp(entry->key, key.data, sizeof(entry->key)) == 0;
    if (found)
        *ret_worker = entry->worker;
    pthread_mutex_unlock(&registry->mutex);
    return found;
}
