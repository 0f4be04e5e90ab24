/* SHOW POOLS, CLIENTS, SERVERS, SOCKETS, LISTS, DATABASES: what the workers gathered. */
#include <stdio.h>
#include <string.h>

#include "router/console/internal.h"

/* What a row about a client and a row about a server have in common. */
struct socket {
    const char *type, *user, *database, *state, *address, *local_address;
    uint16_t port, local_port;
    int64_t connect_wall_us, request_wall_us;
    uint64_t wait_us;
    bool close_needed;
    uint64_t id, peer_id;
    uint32_t remote_pid;
    const char *tls, *application_name;
};

static void write_cells(struct sy_console_view *view, const struct socket *socket,
                        const char *state_prefix)
{
    char state[32];
    snprintf(state, sizeof(state), "%s%s", state_prefix, socket->state);
    sy_console_text(view, socket->type);
    sy_console_text(view, socket->user);
    sy_console_text(view, socket->database);
    sy_console_text(view, state);
    sy_console_text(view, socket->address);
    sy_console_int(view, socket->port);
    sy_console_text(view, socket->local_address);
    sy_console_int(view, socket->local_port);
    sy_console_time(view, socket->connect_wall_us);
    sy_console_time(view, socket->request_wall_us);
    sy_console_int(view, (int64_t)(socket->wait_us / 1000000));
    sy_console_int(view, (int64_t)(socket->wait_us % 1000000));
    sy_console_int(view, socket->close_needed);
    sy_console_id(view, socket->id);
    sy_console_id(view, socket->peer_id);
    sy_console_int(view, socket->remote_pid);
    sy_console_text(view, socket->tls);
    sy_console_text(view, socket->application_name);
}

static void write_client_cells(struct sy_console_view *view, const struct sy_console_client *client,
                               const char *state_prefix)
{
    write_cells(view,
                &(struct socket){"C", client->user, client->database, client->state,
                                 client->address, client->local_address, client->port,
                                 client->local_port, client->connect_wall_us,
                                 client->request_wall_us, client->wait_us, false, client->id,
                                 client->server_id, 0, client->tls, client->application_name},
                state_prefix);
}

static void write_server_cells(struct sy_console_view *view, const struct sy_console_server *server,
                               const char *state_prefix)
{
    write_cells(view,
                &(struct socket){"S", server->user, server->database, server->state,
                                 server->address, server->local_address, server->port,
                                 server->local_port, server->connect_wall_us,
                                 server->request_wall_us, 0, server->close_needed, server->id,
                                 server->client_id, server->remote_pid, server->tls,
                                 server->application_name},
                state_prefix);
}

static void each_client(struct sy_console_view *view,
                        void (*write)(struct sy_console_view *view,
                                      const struct sy_console_client *client))
{
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].client_count; i++)
            write(view, &view->gathered[w].clients[i]);
    }
}

static void each_server(struct sy_console_view *view,
                        void (*write)(struct sy_console_view *view,
                                      const struct sy_console_server *server))
{
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].server_count; i++)
            write(view, &view->gathered[w].servers[i]);
    }
}

static void write_client(struct sy_console_view *view, const struct sy_console_client *client)
{
    size_t start = sy_console_row_begin(view);
    write_client_cells(view, client, "");
    sy_console_text(view, client->wait_reason);
    sy_console_text(view, client->pin_reason);
    sy_console_text(view, client->transaction);
    sy_console_int(view, client->prepared);
    sy_console_int(view, client->worker);
    sy_console_int(view, (int64_t)client->buffered);
    sy_console_row_end(view, start);
}

static void write_server(struct sy_console_view *view, const struct sy_console_server *server)
{
    size_t start = sy_console_row_begin(view);
    write_server_cells(view, server, "");
    sy_console_text(view, server->shard);
    sy_console_text(view, server->node);
    sy_console_int(view, server->prepared);
    sy_console_int(view, server->worker);
    sy_console_row_end(view, start);
}

static void write_client_socket(struct sy_console_view *view,
                                const struct sy_console_client *client)
{
    size_t start = sy_console_row_begin(view);
    write_client_cells(view, client, "cl_");
    sy_console_row_end(view, start);
}

static void write_server_socket(struct sy_console_view *view,
                                const struct sy_console_server *server)
{
    size_t start = sy_console_row_begin(view);
    write_server_cells(view, server, "sv_");
    sy_console_row_end(view, start);
}

void sy_show_clients(struct sy_console_view *view)
{
    each_client(view, write_client);
}

void sy_show_servers(struct sy_console_view *view)
{
    each_server(view, write_server);
}

void sy_show_sockets(struct sy_console_view *view)
{
    each_client(view, write_client_socket);
    each_server(view, write_server_socket);
}

/* ---- pools: one row for a (database, user, node), summed over workers ---- */

static bool same_pool(const struct sy_console_pool *a, const struct sy_console_pool *b)
{
    return strcmp(a->database, b->database) == 0 && strcmp(a->user, b->user) == 0 &&
           strcmp(a->shard, b->shard) == 0 && strcmp(a->node, b->node) == 0;
}

static bool pool_seen_before(const struct sy_console_view *view, uint32_t worker, uint32_t index)
{
    const struct sy_console_pool *wanted = &view->gathered[worker].pools[index];
    for (uint32_t w = 0; w <= worker; w++) {
        for (uint32_t i = 0; i < view->gathered[w].pool_count; i++) {
            if (w == worker && i == index)
                return false;
            if (same_pool(&view->gathered[w].pools[i], wanted))
                return true;
        }
    }
    return false;
}

static struct sy_console_pool sum_pool(const struct sy_console_view *view,
                                       const struct sy_console_pool *wanted)
{
    struct sy_console_pool sum = *wanted;
    memset(&sum.clients_active, 0,
           offsetof(struct sy_console_pool, mode) -
               offsetof(struct sy_console_pool, clients_active));
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].pool_count; i++) {
            const struct sy_console_pool *one = &view->gathered[w].pools[i];
            if (!same_pool(one, wanted))
                continue;
            sum.clients_active += one->clients_active;
            sum.clients_waiting += one->clients_waiting;
            sum.servers_active += one->servers_active;
            sum.servers_idle += one->servers_idle;
            sum.servers_used += one->servers_used;
            sum.servers_tested += one->servers_tested;
            sum.servers_login += one->servers_login;
            sum.servers_being_cancelled += one->servers_being_cancelled;
            if (one->longest_wait_us > sum.longest_wait_us)
                sum.longest_wait_us = one->longest_wait_us;
        }
    }
    return sum;
}

static void write_pool(struct sy_console_view *view, const struct sy_console_pool *pool)
{
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, pool->database);
    sy_console_text(view, pool->user);
    sy_console_int(view, pool->clients_active);
    sy_console_int(view, pool->clients_waiting);
    sy_console_int(view, 0);
    sy_console_int(view, 0);
    sy_console_int(view, pool->servers_active);
    sy_console_int(view, 0);
    sy_console_int(view, pool->servers_being_cancelled);
    sy_console_int(view, pool->servers_idle);
    sy_console_int(view, pool->servers_used);
    sy_console_int(view, pool->servers_tested);
    sy_console_int(view, pool->servers_login);
    sy_console_int(view, (int64_t)(pool->longest_wait_us / 1000000));
    sy_console_int(view, (int64_t)(pool->longest_wait_us % 1000000));
    sy_console_text(view, pool->mode);
    sy_console_text(view, pool->shard);
    sy_console_text(view, pool->node);
    sy_console_row_end(view, start);
}

static uint32_t each_pool(struct sy_console_view *view,
                          void (*write)(struct sy_console_view *view,
                                        const struct sy_console_pool *pool))
{
    uint32_t pools = 0;
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].pool_count; i++) {
            if (pool_seen_before(view, w, i))
                continue;
            struct sy_console_pool sum = sum_pool(view, &view->gathered[w].pools[i]);
            pools++;
            if (write != NULL)
                write(view, &sum);
        }
    }
    return pools;
}

void sy_show_pools(struct sy_console_view *view)
{
    each_pool(view, write_pool);
}

/* ---- lists and databases ---- */

static void write_list(struct sy_console_view *view, const char *name, uint32_t items)
{
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, name);
    sy_console_int(view, items);
    sy_console_row_end(view, start);
}

static uint32_t count_clients(const struct sy_console_view *view, const char *state)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].client_count; i++)
            count += state == NULL || strcmp(view->gathered[w].clients[i].state, state) == 0;
    }
    return count;
}

static uint32_t count_servers(const struct sy_console_view *view, const char *state)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].server_count; i++)
            count += state == NULL || strcmp(view->gathered[w].servers[i].state, state) == 0;
    }
    return count;
}

void sy_show_lists(struct sy_console_view *view)
{
    uint32_t idle = count_servers(view, "idle"), logins = count_clients(view, "login");
    write_list(view, "databases", view->topology->database_count);
    write_list(view, "users", view->topology->config->user_count);
    write_list(view, "pools", each_pool(view, NULL));
    write_list(view, "free_clients", 0);
    write_list(view, "used_clients", count_clients(view, NULL));
    write_list(view, "login_clients", logins);
    write_list(view, "free_servers", idle);
    write_list(view, "used_servers", count_servers(view, NULL) - idle);
    write_list(view, "dns_names", 0);
    write_list(view, "dns_zones", 0);
    write_list(view, "dns_queries", 0);
    write_list(view, "dns_pending", 0);
}

static uint32_t connections_of(const struct sy_console_view *view, const char *database)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].server_count; i++)
            count += strcmp(view->gathered[w].servers[i].database, database) == 0;
    }
    return count;
}

/* Any worker says so. */
static struct sy_console_database state_of(const struct sy_console_view *view, const char *database)
{
    struct sy_console_database sum = {.paused = false};
    for (uint32_t w = 0; w < view->worker_count; w++) {
        for (uint32_t i = 0; i < view->gathered[w].database_count; i++) {
            const struct sy_console_database *one = &view->gathered[w].databases[i];
            bool same = strcmp(one->name, database) == 0;
            sum.paused |= same && one->paused;
            sum.disabled |= same && one->disabled;
        }
    }
    return sum;
}

static void write_database(struct sy_console_view *view,
                           const struct sy_topology_database *database)
{
    static const char *const modes[] = {"session", "transaction", "statement"};
    static const char *const engines[] = {"postgres", "sqlite", "mysql"};
    const struct sy_config_database *config = database->config;
    const struct sy_node *first =
        database->shards[0].node_count > 0 ? database->shards[0].nodes[0] : NULL;
    struct sy_console_database state = state_of(view, config->name);
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, config->name);
    bool dialled = first != NULL && config->engine != SY_ENGINE_SQLITE; /* else it has no address */
    sy_console_text(view, dialled ? first->host : NULL);
    sy_console_text(view, dialled && first->port != NULL ? first->port : "0");
    sy_console_text(view, first != NULL && first->server_database != NULL ? first->server_database
                                                                          : config->name);
    sy_console_text(view, first != NULL ? first->user : NULL);
    sy_console_int(view, config->pool.size);
    sy_console_int(view, 0);
    sy_console_int(view, 0);
    sy_console_text(view, modes[config->pool.mode]);
    sy_console_int(view, config->clients_max);
    sy_console_int(view, connections_of(view, config->name));
    sy_console_int(view, state.paused);
    sy_console_int(view, state.disabled);
    sy_console_text(view, engines[config->engine]);
    sy_console_int(view, database->shard_count);
    sy_console_int(view, config->keyspace_count);
    sy_console_row_end(view, start);
}

void sy_show_databases(struct sy_console_view *view)
{
    for (uint32_t i = 0; i < view->topology->database_count; i++)
        write_database(view, &view->topology->databases[i]);
}
