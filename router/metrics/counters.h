/*
 * Counters of one worker: written by that worker alone (plain adds, no locked instruction), read by
 * the console and the metrics endpoint at any time. Names follow PgBouncer's SHOW STATS where it
 * has one.
 *
 * Thread: a block is written by its worker; sy_metrics_each_*() may be called by any thread. A
 * series, once made, lives as long as the process.
 */
#ifndef SY_ROUTER_METRICS_COUNTERS_H
#define SY_ROUTER_METRICS_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef _Atomic uint64_t
    sy_counter; /* an atomic integer needs a name to be used in function arguments */

/* Owner's thread only. */
static inline void sy_counter_add(sy_counter *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}
static inline uint64_t sy_counter_get(const sy_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

enum sy_statement_class {
    SY_CLASS_READ,
    SY_CLASS_WRITE,
    SY_CLASS_COPY,
    SY_CLASS_DDL,
    SY_CLASS_TRANSACTION,
    SY_CLASS_OTHER,
    SY_CLASS_COUNT
};
const char *sy_statement_class_name(enum sy_statement_class class_);

/* Upper bounds of the latency buckets, in microseconds; one more bucket takes the rest. */
#define SY_LATENCY_BOUNDS_US                                                                       \
    {                                                                                              \
        100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,     \
            2500000, 10000000                                                                      \
    }
enum { SY_LATENCY_BUCKETS = 16 };

struct sy_histogram {
    sy_counter buckets[SY_LATENCY_BUCKETS]; /* not cumulative */
    sy_counter sum_us;
};
void sy_histogram_add(struct sy_histogram *histogram, uint64_t us);

/* What one worker sent to one node, by class of statement. */
struct sy_node_counters {
    struct {
        sy_counter statements, errors;
        struct sy_histogram latency; /* from sent to ReadyForQuery */
    } by_class[SY_CLASS_COUNT];
    sy_counter bytes_to_server, bytes_from_server;
    sy_counter connects, connect_failures, disconnects;
};

/* What one worker did for the clients of one database. */
struct sy_database_counters {
    sy_counter transactions, statements;
    sy_counter bytes_from_clients, bytes_to_clients;
    sy_counter transaction_us, statement_us,
        wait_us;        /* as PgBouncer's total_xact_time, total_query_time, total_wait_time */
    sy_counter errors;  /* ErrorResponses sent to clients, the router's own included */
    sy_counter refused; /* 0A000 by the router */
    sy_counter waits;   /* statements that had to wait for a server connection */
    sy_counter logins, login_failures;
    sy_counter throttled; /* statements that had to wait for their user's or database's rate */
    sy_counter buffer_waits, buffer_refused; /* long messages that waited for the byte budgets */
    sy_counter rate_refused;                 /* statements and logins refused for it (53400) */
    sy_counter client_prepares, server_prepares,
        binds; /* PgBouncer 1.21+: total_client_parse_count ... */
};

struct sy_worker_counters {
    sy_counter template_hits, template_misses, template_evictions;
    sy_counter clients_accepted, clients_closed;
    sy_counter strangers_evicted; /* connections closed before their login, to make room */
    sy_counter logins_held_off;   /* too many had failed before */
};

struct sy_metrics_block; /* one worker's */

/* Registers a block for a worker. Errors: SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status
sy_metrics_block_new(uint32_t worker, struct sy_metrics_block **ret_block, struct sy_err *err);
struct sy_worker_counters *sy_metrics_worker(struct sy_metrics_block *block);
/*
 * Finds or makes a series. Owner's thread only; keep the pointer where the lookup would be hot.
 * When memory is exhausted the block's spare series serves, so that callers need no branch.
 */
struct sy_database_counters *sy_metrics_database(struct sy_metrics_block *block,
                                                 const char *database);
struct sy_node_counters *sy_metrics_node(struct sy_metrics_block *block, const char *database,
                                         const char *shard, const char *node);

/* Sums over all workers. Any thread. */
void sy_metrics_each_database(void (*row)(void *ctx, const char *database,
                                          const struct sy_database_counters *sum),
                              void *ctx);
void sy_metrics_each_node(void (*row)(void *ctx, const char *database, const char *shard,
                                      const char *node, const struct sy_node_counters *sum),
                          void *ctx);
void sy_metrics_worker_sum(struct sy_worker_counters *ret_sum);
/* Frees every block: at process end and in tests, when no worker runs. */
void sy_metrics_release_all(void);

#endif
