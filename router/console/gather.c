/* Growing arrays of records. */
#include "router/console/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

static void *add(void **array, uint32_t *count, uint32_t *room, size_t bytes, bool *ret_no_memory)
{
    void *grown = sy_grown(*array, *count, room, 16, bytes);
    if (grown == NULL) {
        *ret_no_memory = true;
        return NULL;
    }
    *array = grown;
    return memset((char *)*array + (size_t)(*count)++ * bytes, 0, bytes);
}

struct sy_console_client *sy_gather_client(struct sy_console_gathered *gathered)
{
    void *array = gathered->clients;
    void *record = add(&array, &gathered->client_count, &gathered->client_room,
                       sizeof(*gathered->clients), &gathered->no_memory);
    gathered->clients = array;
    return record;
}

struct sy_console_server *sy_gather_server(struct sy_console_gathered *gathered)
{
    void *array = gathered->servers;
    void *record = add(&array, &gathered->server_count, &gathered->server_room,
                       sizeof(*gathered->servers), &gathered->no_memory);
    gathered->servers = array;
    return record;
}

struct sy_console_pool *sy_gather_pool(struct sy_console_gathered *gathered)
{
    void *array = gathered->pools;
    void *record = add(&array, &gathered->pool_count, &gathered->pool_room,
                       sizeof(*gathered->pools), &gathered->no_memory);
    gathered->pools = array;
    return record;
}

struct sy_console_database *sy_gather_database(struct sy_console_gathered *gathered)
{
    void *array = gathered->databases;
    void *record = add(&array, &gathered->database_count, &gathered->database_room,
                       sizeof(*gathered->databases), &gathered->no_memory);
    gathered->databases = array;
    return record;
}

void sy_gather_release(struct sy_console_gathered *gathered)
{
    free(gathered->databases);
    free(gathered->clients);
    free(gathered->servers);
    free(gathered->pools);
    *gathered = (struct sy_console_gathered){0};
}
