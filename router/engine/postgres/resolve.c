/*
 * Two resolver threads for the process, started with the first name that needs one. The queue is
 * bounded by the number of links that are opening. Names are not cached: server connections are
 * pooled, so look-ups are rare, and an address that moved is found by the next dial.
 */
#include "router/engine/postgres/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "router/topology/topology.h"

enum { THREADS = 2, HOST_BYTES_MAX = 255, PORT_BYTES_MAX = 15 };

struct pg_resolve_job {
    struct sy_message message;
    struct sy_loop *loop;
    void *owner;
    void (*done)(void *owner, const struct pg_addresses *addresses, const struct sy_err *err);
    char host[HOST_BYTES_MAX + 1], port[PORT_BYTES_MAX + 1];
    struct pg_addresses addresses;
    struct sy_err err;
    bool abandoned, posted; /* under lock */
    struct pg_resolve_job *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static struct pg_resolve_job *first, *last; /* under lock */
static unsigned threads;                    /* under lock */

static enum sy_status look_up(const char *host, const char *port, int flags,
                              struct pg_addresses *ret, struct sy_err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(host, port, &hints, &list);
    if (code != 0)
        return sy_err_set(err, SY_E_CONNECT, "cannot find the address of host \"%s\": %s", host,
                          gai_strerror(code));
    ret->count = 0;
    for (const struct addrinfo *at = list; at != NULL && ret->count < PG_ADDRESSES_MAX;
         at = at->ai_next) {
        memcpy(&ret->at[ret->count], at->ai_addr, at->ai_addrlen);
        ret->bytes[ret->count++] = at->ai_addrlen;
    }
    freeaddrinfo(list);
    return ret->count != 0 ? SY_OK
                           : sy_err_set(err, SY_E_CONNECT, "host \"%s\" has no address", host);
}

static void deliver(struct sy_message *message, struct sy_loop *loop)
{
    (void)loop;
    struct pg_resolve_job *job = sy_container_of(message, struct pg_resolve_job, message);
    /* The poster is out of sy_loop_post() when it has let go of the lock; the owner may free the
     * loop after this. */
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    job->done(job->owner, &job->addresses, job->err.status == SY_OK ? NULL : &job->err);
    free(job);
}

static void *resolver_main(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (first == NULL)
            pthread_cond_wait(&wanted, &lock);
        struct pg_resolve_job *job = first;
        first = job->next;
        if (!job->abandoned) {
            pthread_mutex_unlock(&lock);
            (void)!look_up(job->host, job->port, AI_ADDRCONFIG, &job->addresses, &job->err);
            pthread_mutex_lock(&lock);
        }
        if (job->abandoned) {
            free(job);
        } else {
            job->posted = true; /* under the lock: after an abandon nothing is posted to a loop that
                                   may be gone */
            sy_loop_post(job->loop, &job->message);
        }
    }
    return NULL;
}

static enum sy_status start_threads(struct sy_err *err)
{
    while (threads < THREADS) {
        pthread_t thread;
        int code = pthread_create(&thread, NULL, resolver_main, NULL);
        if (code != 0 && threads == 0)
            return sy_err_set_errno(err, SY_E_IO, code, "cannot start a resolver thread");
        if (code != 0)
            break;
        pthread_detach(thread);
        threads++;
    }
    return SY_OK;
}

static enum sy_status submit(struct pg_resolve_job *job, struct sy_err *err)
{
    pthread_mutex_lock(&lock);
    enum sy_status status = start_threads(err);
    if (status == SY_OK) {
        if (first == NULL)
            first = job;
        else
            last->next = job;
        last = job;
        pthread_cond_signal(&wanted);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static enum sy_status unix_address(const char *directory, const char *port,
                                   struct pg_addresses *ret, struct sy_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int bytes =
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.%s", directory, port);
    if (bytes < 0 || (size_t)bytes >= sizeof(address.sun_path))
        return sy_err_set(err, SY_E_CONNECT, "the Unix socket path \"%s\" is too long", directory);
    socklen_t length = (socklen_t)sizeof(address);
    if (address.sun_path[0] == '@') { /* abstract namespace: the length counts */
        address.sun_path[0] = '\0';
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)bytes);
    }
    memcpy(&ret->at[0], &address, sizeof(address));
    ret->bytes[0] = length;
    ret->count = 1;
    return SY_OK;
}

enum sy_status pg_resolve(const struct sy_node *node, struct sy_loop *loop, void *owner,
                          void (*done)(void *owner, const struct pg_addresses *addresses,
                                       const struct sy_err *err),
                          struct pg_addresses *ret_addresses, struct pg_resolve_job **ret_job,
                          struct sy_err *err)
{
    const char *host = node->hostaddr[0] != '\0' ? node->hostaddr : node->host;
    if (host[0] == '/' || host[0] == '@')
        return unix_address(host, node->port, ret_addresses, err);
    if (look_up(host, node->port, AI_NUMERICHOST | AI_NUMERICSERV, ret_addresses, NULL) == SY_OK)
        return SY_OK;
    if (strlen(host) > HOST_BYTES_MAX || strlen(node->port) > PORT_BYTES_MAX)
        return sy_err_set(err, SY_E_CONNECT, "the host or port of node %s is too long", node->name);
    struct pg_resolve_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    job->message.deliver = deliver;
    job->loop = loop;
    job->owner = owner;
    job->done = done;
    snprintf(job->host, sizeof(job->host), "%s", host);
    snprintf(job->port, sizeof(job->port), "%s", node->port);
    enum sy_status status = submit(job, err);
    if (status != SY_OK) {
        free(job);
        return status;
    }
    *ret_job = job;
    return SY_OK;
}

bool pg_resolve_abandon(struct pg_resolve_job *job)
{
    pthread_mutex_lock(&lock);
    bool in_time = !job->posted;
    if (in_time)
        job->abandoned = true;
    pthread_mutex_unlock(&lock);
    return in_time;
}
