/* Requests to read a database's schema again: a small set of names between sessions and the
 * monitor's thread. */
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "router/topology/topology.h"

enum { REQUESTS_MAX = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under lock. When more names wait than fit, `everything` stands for all. */
static char names[REQUESTS_MAX][SY_LIMIT_NAME_BYTES + 1];
static unsigned name_count;
static bool everything;

void sy_schema_refresh_request(struct sy_slice database)
{
    pthread_mutex_lock(&lock);
    bool known = everything;
    for (unsigned i = 0; i < name_count && !known; i++)
        known = sy_slice_eq(sy_slice_of(names[i]), database);
    if (!known && (name_count == REQUESTS_MAX || database.bytes > SY_LIMIT_NAME_BYTES)) {
        everything = true;
        name_count = 0;
    } else if (!known) {
        memcpy(names[name_count], database.data, database.bytes);
        names[name_count++][database.bytes] = '\0';
    }
    pthread_mutex_unlock(&lock);
}

bool sy_schema_refresh_take(struct sy_buf *ret_database)
{
    sy_buf_clear(ret_database);
    pthread_mutex_lock(&lock);
    bool any = everything || name_count != 0;
    if (everything)
        everything = false;
    else if (name_count != 0)
        sy_buf_append_str(ret_database, names[--name_count]);
    pthread_mutex_unlock(&lock);
    return any;
}
