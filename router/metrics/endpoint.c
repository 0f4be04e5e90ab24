/* OpenMetrics text and the HTTP server that gives it. Not on any worker's thread. */
#include "router/metrics/endpoint.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/metrics/counters.h"

static const char content_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/* ---- text ---- */

static void write_escaped(struct sy_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            sy_buf_append_str(out, "\\n");
        else if (*text == '"' || *text == '\\')
            sy_buf_printf(out, "\\%c", *text);
        else
            sy_buf_append_u8(out, (uint8_t)*text);
    }
}

void sy_metrics_write_sample(struct sy_buf *out, const char *name, const char *const *labels,
                             double value)
{
    sy_buf_append_str(out, name);
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
        sy_buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i]);
        write_escaped(out, labels[i + 1]);
        sy_buf_append_str(out, "\"");
    }
    sy_buf_printf(out, "%s %.17g\n", labels != NULL && labels[0] != NULL ? "}" : "", value);
}

struct database_family {
    const char *name, *unit, *help;
    size_t offset;
    double scale;
};

#define COUNTER(member) offsetof(struct sy_database_counters, member)
static const struct database_family database_families[] = {
    {"switchyard_transactions", "", "Transactions finished.", COUNTER(transactions), 1},
    {"switchyard_statements", "", "Statements finished.", COUNTER(statements), 1},
    {"switchyard_client_received_bytes", "bytes", "Bytes received from clients.",
     COUNTER(bytes_from_clients), 1},
    {"switchyard_client_sent_bytes", "bytes", "Bytes sent to clients.", COUNTER(bytes_to_clients),
     1},
    {"switchyard_transaction_seconds", "seconds", "Time spent in transactions.",
     COUNTER(transaction_us), 1e-6},
    {"switchyard_statement_seconds", "seconds", "Time spent in statements.", COUNTER(statement_us),
     1e-6},
    {"switchyard_wait_seconds", "seconds", "Time spent waiting for a server connection.",
     COUNTER(wait_us), 1e-6},
    {"switchyard_waits", "", "Statements that waited for a server connection.", COUNTER(waits), 1},
    {"switchyard_errors", "", "Errors sent to clients.", COUNTER(errors), 1},
    {"switchyard_refused", "", "Statements refused because they are not supported over shards.",
     COUNTER(refused), 1},
    {"switchyard_logins", "", "Successful logins.", COUNTER(logins), 1},
    {"switchyard_login_failures", "", "Failed logins.", COUNTER(login_failures), 1},
    {"switchyard_throttled", "", "Statements that waited for their rate.", COUNTER(throttled), 1},
    {"switchyard_rate_refused", "", "Statements and logins refused for their rate.",
     COUNTER(rate_refused), 1},
    {"switchyard_buffer_waits", "", "Long messages that waited for the byte budgets.",
     COUNTER(buffer_waits), 1},
    {"switchyard_buffer_refused", "", "Long messages refused for the byte budgets.",
     COUNTER(buffer_refused), 1},
    {"switchyard_client_prepares", "", "Parse messages from clients.", COUNTER(client_prepares), 1},
    {"switchyard_server_prepares", "", "Parse messages sent to servers.", COUNTER(server_prepares),
     1},
    {"switchyard_binds", "", "Bind messages.", COUNTER(binds), 1},
};

struct family_walk {
    struct sy_buf *out;
    const struct database_family *family;
};

static void write_head(struct sy_buf *out, const char *name, const char *type, const char *unit,
                       const char *help)
{
    sy_buf_printf(out, "# TYPE %s %s\n", name, type);
    if (unit[0] != '\0')
        sy_buf_printf(out, "# UNIT %s %s\n", name, unit);
    sy_buf_printf(out, "# HELP %s %s\n", name, help);
}

static void write_database(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    const struct family_walk *walk = ctx;
    char name[100];
    const sy_counter *counter =
        (const sy_counter *)(const void *)((const char *)sum + walk->family->offset);
    snprintf(name, sizeof(name), "%s_total", walk->family->name);
    sy_metrics_write_sample(walk->out, name, (const char *[]){"database", database, NULL},
                            (double)sy_counter_get(counter) * walk->family->scale);
}

static void write_node_bytes(void *ctx, const char *database, const char *shard, const char *node,
                             const struct sy_node_counters *sum)
{
    const char *to[] = {"database", database,    "shard", shard, "node",
                        node,       "direction", "sent",  NULL};
    const char *from[] = {"database", database,    "shard",    shard, "node",
                          node,       "direction", "received", NULL};
    sy_metrics_write_sample(ctx, "switchyard_server_bytes_total", to,
                            (double)sy_counter_get(&sum->bytes_to_server));
    sy_metrics_write_sample(ctx, "switchyard_server_bytes_total", from,
                            (double)sy_counter_get(&sum->bytes_from_server));
}

static void write_node_connects(void *ctx, const char *database, const char *shard,
                                const char *node, const struct sy_node_counters *sum)
{
    const struct {
        const char *word;
        const sy_counter *counter;
    } kinds[] = {{"opened", &sum->connects},
                 {"failed", &sum->connect_failures},
                 {"closed", &sum->disconnects}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *labels[] = {"database", database,  "shard",       shard, "node",
                                node,       "outcome", kinds[i].word, NULL};
        sy_metrics_write_sample(ctx, "switchyard_server_connections_total", labels,
                                (double)sy_counter_get(kinds[i].counter));
    }
}

static void write_node_errors(void *ctx, const char *database, const char *shard, const char *node,
                              const struct sy_node_counters *sum)
{
    for (int class_ = 0; class_ < SY_CLASS_COUNT; class_++) {
        const char *labels[] = {
            "database", database, "shard", shard,
            "node",     node,     "class", sy_statement_class_name((enum sy_statement_class)class_),
            NULL};
        if (sy_counter_get(&sum->by_class[class_].statements) > 0)
            sy_metrics_write_sample(ctx, "switchyard_node_errors_total", labels,
                                    (double)sy_counter_get(&sum->by_class[class_].errors));
    }
}

static void write_histogram(struct sy_buf *out, const char **labels, size_t le_at,
                            const struct sy_histogram *histogram)
{
    static const uint64_t bounds[SY_LATENCY_BUCKETS - 1] = SY_LATENCY_BOUNDS_US;
    uint64_t cumulative = 0;
    for (int i = 0; i < SY_LATENCY_BUCKETS; i++) {
        char le[32] = "+Inf";
        cumulative += sy_counter_get(&histogram->buckets[i]);
        if (i < SY_LATENCY_BUCKETS - 1)
            snprintf(le, sizeof(le), "%g", (double)bounds[i] * 1e-6);
        labels[le_at] = "le";
        labels[le_at + 1] = le;
        sy_metrics_write_sample(out, "switchyard_node_statement_seconds_bucket", labels,
                                (double)cumulative);
    }
    labels[le_at] = NULL;
    sy_metrics_write_sample(out, "switchyard_node_statement_seconds_count", labels,
                            (double)cumulative);
    sy_metrics_write_sample(out, "switchyard_node_statement_seconds_sum", labels,
                            (double)sy_counter_get(&histogram->sum_us) * 1e-6);
}

static void write_node_latency(void *ctx, const char *database, const char *shard, const char *node,
                               const struct sy_node_counters *sum)
{
    for (int class_ = 0; class_ < SY_CLASS_COUNT; class_++) {
        const char *labels[11] = {
            "database", database, "shard", shard,
            "node",     node,     "class", sy_statement_class_name((enum sy_statement_class)class_),
            NULL,       NULL,     NULL};
        if (sy_counter_get(&sum->by_class[class_].statements) > 0)
            write_histogram(ctx, labels, 8, &sum->by_class[class_].latency);
    }
}

static void write_workers(struct sy_buf *out)
{
    struct sy_worker_counters sum;
    sy_metrics_worker_sum(&sum);
    write_head(out, "switchyard_template_lookups", "counter", "",
               "Statements looked up in the template cache.");
    sy_metrics_write_sample(out, "switchyard_template_lookups_total",
                            (const char *[]){"result", "hit", NULL},
                            (double)sy_counter_get(&sum.template_hits));
    sy_metrics_write_sample(out, "switchyard_template_lookups_total",
                            (const char *[]){"result", "miss", NULL},
                            (double)sy_counter_get(&sum.template_misses));
    write_head(out, "switchyard_template_evictions", "counter", "",
               "Templates that made room for others.");
    sy_metrics_write_sample(out, "switchyard_template_evictions_total", NULL,
                            (double)sy_counter_get(&sum.template_evictions));
    write_head(out, "switchyard_clients_accepted", "counter", "", "Client connections accepted.");
    sy_metrics_write_sample(out, "switchyard_clients_accepted_total", NULL,
                            (double)sy_counter_get(&sum.clients_accepted));
    write_head(out, "switchyard_strangers_evicted", "counter", "",
               "Connections closed before their login to make room for others.");
    sy_metrics_write_sample(out, "switchyard_strangers_evicted_total", NULL,
                            (double)sy_counter_get(&sum.strangers_evicted));
    write_head(out, "switchyard_logins_held_off", "counter", "",
               "Logins refused because too many had failed before.");
    sy_metrics_write_sample(out, "switchyard_logins_held_off_total", NULL,
                            (double)sy_counter_get(&sum.logins_held_off));
    write_head(out, "switchyard_clients_closed", "counter", "", "Client connections closed.");
    sy_metrics_write_sample(out, "switchyard_clients_closed_total", NULL,
                            (double)sy_counter_get(&sum.clients_closed));
}

/* The whole exposition, "# EOF" included. Pure but for the counters read. */
static void metrics_write(struct sy_buf *out, sy_metrics_gauges_fn gauges, void *ctx)
{
    for (size_t i = 0; i < sizeof(database_families) / sizeof(database_families[0]); i++) {
        struct family_walk walk = {out, &database_families[i]};
        write_head(out, walk.family->name, "counter", walk.family->unit, walk.family->help);
        sy_metrics_each_database(write_database, &walk);
    }
    write_workers(out);
    write_head(out, "switchyard_server_bytes", "counter", "bytes", "Bytes exchanged with servers.");
    sy_metrics_each_node(write_node_bytes, out);
    write_head(out, "switchyard_server_connections", "counter", "",
               "Server connections opened, failed and closed.");
    sy_metrics_each_node(write_node_connects, out);
    write_head(out, "switchyard_node_errors", "counter", "",
               "Statements that a server answered with an error.");
    sy_metrics_each_node(write_node_errors, out);
    write_head(out, "switchyard_node_statement_seconds", "histogram", "seconds",
               "Time from a statement sent to its server until the server was ready again.");
    sy_metrics_each_node(write_node_latency, out);
    if (gauges != NULL)
        gauges(ctx, out);
    sy_buf_append_str(out, "# EOF\n");
}

/* ---- HTTP ---- */

struct sy_metrics_endpoint {
    struct MHD_Daemon *daemon;
    sy_metrics_gauges_fn gauges;
    void *ctx;
};

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned code, const char *type,
                               const void *body, size_t bytes)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(bytes, (void *)(uintptr_t)body, NULL);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_metrics(struct sy_metrics_endpoint *endpoint,
                                       struct MHD_Connection *connection)
{
    struct sy_buf out = {0};
    metrics_write(&out, endpoint->gauges, endpoint->ctx);
    if (out.failed) {
        sy_buf_release(&out);
        static const char text[] = "out of memory\n";
        return respond(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain", text,
                       sizeof(text) - 1);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(out.bytes, out.data, free);
    if (response == NULL) {
        sy_buf_release(&out);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **con_cls)
{
    (void)version;
    (void)upload_data;
    (void)upload_data_size;
    (void)con_cls;
    static const char not_found[] = "Metrics are at /metrics\n";
    static const char wrong_method[] = "Only GET\n";
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", wrong_method,
                       sizeof(wrong_method) - 1);
    if (strcmp(url, "/metrics") != 0)
        return respond(connection, MHD_HTTP_NOT_FOUND, "text/plain", not_found,
                       sizeof(not_found) - 1);
    return respond_metrics(cls, connection);
}

enum sy_status sy_metrics_endpoint_start(const char *address, uint16_t port,
                                         sy_metrics_gauges_fn gauges, void *ctx,
                                         struct sy_metrics_endpoint **ret_endpoint,
                                         struct sy_err *err)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
    if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1)
        return sy_err_set(err, SY_E_CONFIG, "metrics.address is \"%s\"; it must be an IP address",
                          address);
    struct sy_metrics_endpoint *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory for the metrics endpoint");
    endpoint->gauges = gauges;
    endpoint->ctx = ctx;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (is_v6 ? (unsigned)MHD_USE_IPv6 : 0U);
    const struct sockaddr *where = is_v6 ? (const struct sockaddr *)(const void *)&v6
                                         : (const struct sockaddr *)(const void *)&v4;
    endpoint->daemon =
        MHD_start_daemon(flags, port, NULL, NULL, handle, endpoint, MHD_OPTION_SOCK_ADDR, where,
                         MHD_OPTION_CONNECTION_LIMIT, 16U, MHD_OPTION_CONNECTION_TIMEOUT, 10U,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
    if (endpoint->daemon == NULL) {
        free(endpoint);
        sy_err_set(err, SY_E_IO, "cannot serve metrics on %s port %u", address, (unsigned)port);
        sy_err_hint(err, "Is the port taken? Choose another with metrics.port.");
        return SY_E_IO;
    }
    *ret_endpoint = endpoint;
    return SY_OK;
}

void sy_metrics_endpoint_stop(struct sy_metrics_endpoint **endpoint)
{
    if (*endpoint == NULL)
        return;
    MHD_stop_daemon((*endpoint)->daemon);
    free(*endpoint);
    *endpoint = NULL;
}

uint16_t sy_metrics_endpoint_port(const struct sy_metrics_endpoint *endpoint)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(endpoint->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}
