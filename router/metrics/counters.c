/*
 * Blocks of counters, one a worker. Lists only grow and are published with release stores, so
 * readers need no lock; a mutex orders the rare registrations.
 */
#include "router/metrics/counters.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct database_series {
    struct database_series *_Atomic next;
    const char *database;
    struct sy_database_counters counters;
};

struct node_series {
    struct node_series *_Atomic next;
    const char *database, *shard, *node;
    struct sy_node_counters counters;
};

struct sy_metrics_block {
    struct sy_metrics_block *_Atomic next;
    uint32_t worker;
    struct sy_worker_counters own;
    struct database_series *_Atomic databases;
    struct node_series *_Atomic nodes;
    struct sy_database_counters spare_database; /* takes counts when memory is exhausted */
    struct sy_node_counters spare_node;
};

static struct sy_metrics_block *_Atomic first_block;
static pthread_mutex_t registration = PTHREAD_MUTEX_INITIALIZER;

const char *sy_statement_class_name(enum sy_statement_class class_)
{
    static const char *const names[SY_CLASS_COUNT] = {"read", "write",       "copy",
                                                      "ddl",  "transaction", "other"};
    return names[class_];
}

void sy_histogram_add(struct sy_histogram *histogram, uint64_t us)
{
    static const uint64_t bounds[SY_LATENCY_BUCKETS - 1] = SY_LATENCY_BOUNDS_US;
    unsigned bucket = 0;
    while (bucket < SY_LATENCY_BUCKETS - 1 && us > bounds[bucket])
        bucket++;
    sy_counter_add(&histogram->buckets[bucket], 1);
    sy_counter_add(&histogram->sum_us, us);
}

enum sy_status sy_metrics_block_new(uint32_t worker, struct sy_metrics_block **ret_block,
                                    struct sy_err *err)
{
    struct sy_metrics_block *block = calloc(1, sizeof(*block));
    if (block == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory for a worker's counters");
    block->worker = worker;
    pthread_mutex_lock(&registration);
    atomic_store_explicit(&block->next, atomic_load(&first_block), memory_order_relaxed);
    atomic_store_explicit(&first_block, block, memory_order_release);
    pthread_mutex_unlock(&registration);
    *ret_block = block;
    return SY_OK;
}

struct sy_worker_counters *sy_metrics_worker(struct sy_metrics_block *block)
{
    return &block->own;
}

/* A copy of `text` placed at *place, which moves behind it. */
static const char *put_text(char **place, const char *text)
{
    size_t bytes = strlen(text) + 1;
    const char *copy = memcpy(*place, text, bytes);
    *place += bytes;
    return copy;
}

struct sy_database_counters *sy_metrics_database(struct sy_metrics_block *block,
                                                 const char *database)
{
    struct database_series *series = atomic_load_explicit(&block->databases, memory_order_relaxed);
    for (; series != NULL; series = atomic_load_explicit(&series->next, memory_order_relaxed)) {
        if (strcmp(series->database, database) == 0)
            return &series->counters;
    }
    series = calloc(1, sizeof(*series) + strlen(database) + 1);
    if (series == NULL)
        return &block->spare_database;
    char *place = (char *)(series + 1);
    series->database = put_text(&place, database);
    atomic_store_explicit(&series->next, atomic_load(&block->databases), memory_order_relaxed);
    atomic_store_explicit(&block->databases, series, memory_order_release);
    return &series->counters;
}

static bool is_node(const struct node_series *series, const char *database, const char *shard,
                    const char *node)
{
    return strcmp(series->node, node) == 0 && strcmp(series->shard, shard) == 0 &&
           strcmp(series->database, database) == 0;
}

struct sy_node_counters *sy_metrics_node(struct sy_metrics_block *block, const char *database,
                                         const char *shard, const char *node)
{
    struct node_series *series = atomic_load_explicit(&block->nodes, memory_order_relaxed);
    for (; series != NULL; series = atomic_load_explicit(&series->next, memory_order_relaxed)) {
        if (is_node(series, database, shard, node))
            return &series->counters;
    }
    series = calloc(1, sizeof(*series) + strlen(database) + strlen(shard) + strlen(node) + 3);
    if (series == NULL)
        return &block->spare_node;
    char *place = (char *)(series + 1);
    series->database = put_text(&place, database);
    series->shard = put_text(&place, shard);
    series->node = put_text(&place, node);
    atomic_store_explicit(&series->next, atomic_load(&block->nodes), memory_order_relaxed);
    atomic_store_explicit(&block->nodes, series, memory_order_release);
    return &series->counters;
}

/* Every counters struct is an array of sy_counter, so sums need no field list that could be
 * forgotten. */
static void add_all(void *sum, const void *one, size_t bytes)
{
    sy_counter *to = sum;
    const sy_counter *from = one;
    for (size_t i = 0; i < bytes / sizeof(sy_counter); i++)
        sy_counter_add(&to[i], sy_counter_get(&from[i]));
}

_Static_assert(sizeof(struct sy_database_counters) % sizeof(sy_counter) == 0, "counters only");
_Static_assert(sizeof(struct sy_node_counters) % sizeof(sy_counter) == 0, "counters only");
_Static_assert(sizeof(struct sy_worker_counters) % sizeof(sy_counter) == 0, "counters only");

static bool database_seen_before(const struct sy_metrics_block *until, const char *database)
{
    for (struct sy_metrics_block *block = atomic_load(&first_block); block != until;
         block = atomic_load(&block->next)) {
        for (struct database_series *series = atomic_load(&block->databases); series != NULL;
             series = atomic_load(&series->next)) {
            if (strcmp(series->database, database) == 0)
                return true;
        }
    }
    return false;
}

static void sum_database(struct sy_metrics_block *block, const char *database,
                         struct sy_database_counters *sum)
{
    for (; block != NULL; block = atomic_load(&block->next)) {
        for (struct database_series *series = atomic_load(&block->databases); series != NULL;
             series = atomic_load(&series->next)) {
            if (strcmp(series->database, database) == 0)
                add_all(sum, &series->counters, sizeof(*sum));
        }
    }
}

void sy_metrics_each_database(void (*row)(void *ctx, const char *database,
                                          const struct sy_database_counters *sum),
                              void *ctx)
{
    for (struct sy_metrics_block *block = atomic_load(&first_block); block != NULL;
         block = atomic_load(&block->next)) {
        for (struct database_series *series = atomic_load(&block->databases); series != NULL;
             series = atomic_load(&series->next)) {
            if (database_seen_before(block, series->database))
                continue;
            struct sy_database_counters sum = {0};
            sum_database(block, series->database, &sum);
            row(ctx, series->database, &sum);
        }
    }
}

static bool node_seen_before(const struct sy_metrics_block *until, const struct node_series *wanted)
{
    for (struct sy_metrics_block *block = atomic_load(&first_block); block != until;
         block = atomic_load(&block->next)) {
        for (struct node_series *series = atomic_load(&block->nodes); series != NULL;
             series = atomic_load(&series->next)) {
            if (is_node(series, wanted->database, wanted->shard, wanted->node))
                return true;
        }
    }
    return false;
}

static void sum_node(struct sy_metrics_block *block, const struct node_series *wanted,
                     struct sy_node_counters *sum)
{
    for (; block != NULL; block = atomic_load(&block->next)) {
        for (struct node_series *series = atomic_load(&block->nodes); series != NULL;
             series = atomic_load(&series->next)) {
            if (is_node(series, wanted->database, wanted->shard, wanted->node))
                add_all(sum, &series->counters, sizeof(*sum));
        }
    }
}

void sy_metrics_each_node(void (*row)(void *ctx, const char *database, const char *shard,
                                      const char *node, const struct sy_node_counters *sum),
                          void *ctx)
{
    for (struct sy_metrics_block *block = atomic_load(&first_block); block != NULL;
         block = atomic_load(&block->next)) {
        for (struct node_series *series = atomic_load(&block->nodes); series != NULL;
             series = atomic_load(&series->next)) {
            if (node_seen_before(block, series))
                continue;
            struct sy_node_counters sum = {0};
            sum_node(block, series, &sum);
            row(ctx, series->database, series->shard, series->node, &sum);
        }
    }
}

void sy_metrics_worker_sum(struct sy_worker_counters *ret_sum)
{
    *ret_sum = (struct sy_worker_counters){0};
    for (struct sy_metrics_block *block = atomic_load(&first_block); block != NULL;
         block = atomic_load(&block->next))
        add_all(ret_sum, &block->own, sizeof(*ret_sum));
}

void sy_metrics_release_all(void)
{
    struct sy_metrics_block *block = atomic_exchange(&first_block, NULL);
    while (block != NULL) {
        struct sy_metrics_block *next = atomic_load(&block->next);
        for (struct database_series *series = atomic_load(&block->databases), *after;
             series != NULL; series = after) {
            after = atomic_load(&series->next);
            free(series);
        }
        for (struct node_series *series = atomic_load(&block->nodes), *after; series != NULL;
             series = after) {
            after = atomic_load(&series->next);
            free(series);
        }
        free(block);
        block = next;
    }
}
