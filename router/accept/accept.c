/* Listening sockets. Each worker accepts on its own; sockets of the Unix listener are handed round.
 */
#include "router/accept/accept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "router/session/session.h"

static void close_all(struct sy_accept *accept)
{
    for (uint32_t i = 0; i < accept->count; i++)
        close(accept->fds[i]);
    accept->count = 0;
    if (accept->unix_path[0] != 0)
        unlink(accept->unix_path);
    accept->unix_path[0] = 0;
}

static enum sy_status listen_on(struct sy_accept *accept, const struct sockaddr *address,
                                socklen_t bytes, const struct sy_config *config, const char *name,
                                struct sy_err *err)
{
    int one = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot open a socket for %s", name);
    bool tcp = address->sa_family != AF_UNIX;
    if (tcp) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, address, bytes) != 0 || listen(fd, (int)config->listen.backlog) != 0) {
        int code = errno;
        close(fd);
        enum sy_status status =
            sy_err_set_errno(err, SY_E_IO, code, "cannot listen on %s port %u: %s", name,
                             (unsigned)config->listen.port, strerror(code));
        if (code == EADDRINUSE)
            sy_err_hint(err, "Another program listens there. Stop it, or set listen.port (or "
                             "--port) to a free port.");
        return status;
    }
    accept->fds[accept->count++] = fd;
    return SY_OK;
}

/* SO_REUSEPORT lets a second router of the same user share the port silently: ask without it first.
 */
static enum sy_status check_free(const struct sockaddr *address, socklen_t bytes,
                                 const struct sy_config *config, const char *name,
                                 struct sy_err *err)
{
    int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return SY_OK;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    int failed = bind(fd, address, bytes) != 0 ? errno : 0;
    close(fd);
    if (failed == 0)
        return SY_OK;
    enum sy_status status =
        sy_err_set_errno(err, SY_E_IO, failed, "cannot listen on %s port %u: %s", name,
                         (unsigned)config->listen.port, strerror(failed));
    if (failed == EADDRINUSE)
        sy_err_hint(err, "Another program listens there. Stop it, or set listen.port (or --port) "
                         "to a free port.");
    return status;
}

static enum sy_status bind_name(struct sy_accept *accept, const char *name,
                                const struct sy_config *config, bool first, struct sy_err *err)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)config->listen.port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int code = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, port, &hints, &found);
    if (code != 0)
        return sy_err_set(err, SY_E_IO, "cannot resolve the listen address \"%s\": %s", name,
                          gai_strerror(code));
    enum sy_status status = SY_OK;
    for (struct addrinfo *at = found;
         at != NULL && status == SY_OK && accept->count < SY_ACCEPT_ADDRESSES_MAX;
         at = at->ai_next) {
        if (first)
            status = check_free(at->ai_addr, at->ai_addrlen, config, name, err);
        if (status == SY_OK)
            status = listen_on(accept, at->ai_addr, at->ai_addrlen, config, name, err);
    }
    freeaddrinfo(found);
    return status;
}

static enum sy_status bind_unix(struct sy_accept *accept, const struct sy_config *config,
                                struct sy_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int bytes = snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.%u",
                         config->listen.unix_socket_dir, (unsigned)config->listen.port);
    if (bytes < 0 || (size_t)bytes >= sizeof(address.sun_path))
        return sy_err_set(err, SY_E_IO, "the Unix socket's path is too long: %s",
                          config->listen.unix_socket_dir);
    unlink(address.sun_path); /* left by a process that was killed: the TCP port is ours by now */
    enum sy_status status = listen_on(accept, (const struct sockaddr *)&address, sizeof(address),
                                      config, address.sun_path, err);
    if (status != SY_OK)
        return status;
    chmod(address.sun_path, 0777);
    snprintf(accept->unix_path, sizeof(accept->unix_path), "%s", address.sun_path);
    return SY_OK;
}

enum sy_status sy_accept_bind(struct sy_accept *accept, const struct sy_config *config,
                              bool with_unix, struct sy_err *err)
{
    *accept = (struct sy_accept){0};
    char *list = strdup(config->listen.address == NULL ? "127.0.0.1" : config->listen.address),
         *rest = list;
    enum sy_status status = list == NULL ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory") : SY_OK;
    for (char *name; status == SY_OK && (name = strsep(&rest, ",")) != NULL;) {
        name += strspn(name, " \t");
        name[strcspn(name, " \t")] = 0;
        if (*name != 0)
            status = bind_name(accept, name, config, with_unix, err);
    }
    free(list);
    if (status == SY_OK && with_unix && config->listen.unix_socket_dir != NULL)
        status = bind_unix(accept, config, err);
    if (status != SY_OK)
        close_all(accept);
    return status;
}

/* ---- accepting ---- */

struct handed {
    struct sy_message message; /* first */
    struct sy_worker *worker;
    int fd;
};

static void open_session(struct sy_worker *worker, int fd, const struct sockaddr_storage *peer)
{
    struct sy_err err = {0};
    if (worker->stopping) {
        close(fd);
        return;
    }
    if (sy_session_open(worker, fd, peer, &err) != SY_OK)
        sy_log_err(SY_LOG_WARN, "client refused", &err);
}

static void deliver_handed(struct sy_message *message, struct sy_loop *loop)
{
    struct handed *handed = (struct handed *)(void *)message;
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    (void)loop;
    open_session(handed->worker, handed->fd, &peer);
    free(handed);
}

static void on_accepted(struct sy_listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct sy_accept *accept = listener->owner;
    struct sy_worker *worker = accept->worker;
    struct sy_process *process = worker->process;
    if (peer->ss_family != AF_UNIX) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        open_session(worker, fd, peer);
        return;
    }
    struct sy_worker *to = process->workers[accept->next_worker++ % process->worker_count];
    struct handed *handed = to == worker ? NULL : calloc(1, sizeof(*handed));
    if (handed == NULL) {
        open_session(worker, fd, peer);
        return;
    }
    *handed = (struct handed){.message.deliver = deliver_handed, .worker = to, .fd = fd};
    sy_loop_post(to->loop, &handed->message);
}

static void on_failed(struct sy_listener *listener, const struct sy_err *why)
{
    (void)listener;
    sy_log_err(SY_LOG_WARN, "cannot accept clients for a moment", why);
}

enum sy_status sy_accept_start(struct sy_accept *accept, struct sy_worker *worker,
                               struct sy_err *err)
{
    accept->worker = worker;
    for (uint32_t i = 0; i < accept->count; i++) {
        struct sy_listener *listener = &accept->listeners[i];
        listener->owner = accept;
        listener->accepted = on_accepted;
        listener->failed = on_failed;
        struct sy_err why;
        enum sy_status status =
            SY_FAULT("accept.start")
                ? sy_err_set(&why, SY_E_NO_MEMORY, "no memory to watch a descriptor")
                : sy_listener_start(worker->loop, listener, accept->fds[i], &why);
        if (status != SY_OK)
            return sy_err_set_errno(err, status, why.sys_errno,
                                    "worker-%u cannot accept clients: %s", (unsigned)worker->index,
                                    why.text);
    }
    return SY_OK;
}

void sy_accept_stop(struct sy_accept *accept)
{
    for (uint32_t i = 0; i < accept->count; i++)
        if (accept->listeners[i].active)
            sy_listener_stop(&accept->listeners[i]);
}

void sy_accept_release(struct sy_accept *accept)
{
    close_all(accept);
}
