/* The catalog of the process: opened once, used by the threads that remember something. */
#include <pthread.h>
#include <stddef.h>

#include "catalog/catalog.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sy_catalog *shared; /* under lock */

enum sy_status sy_catalog_share(const char *path, struct sy_catalog **ret_catalog,
                                struct sy_err *err)
{
    enum sy_status status = SY_OK;
    pthread_mutex_lock(&lock);
    if (shared == NULL)
        status = sy_catalog_open(path, sy_clock_real(), &shared, err);
    if (status == SY_OK)
        *ret_catalog = shared;
    pthread_mutex_unlock(&lock);
    return status;
}

void sy_catalog_end_sharing(void)
{
    pthread_mutex_lock(&lock);
    sy_catalog_close(&shared);
    pthread_mutex_unlock(&lock);
}
