/*
 * SHOW STATS and its relatives: totals from the counters, averages against a sample that is taken
 * once a minute. The sample is the console's only state; a mutex guards it (console commands and a
 * tick a minute).
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "router/console/internal.h"
#include "router/metrics/counters.h"

enum { TOTALS = 7 };

struct totals {
    uint64_t value[TOTALS]; /* transactions, statements, received, sent, transaction us, statement
                               us, wait us */
    uint64_t errors, refused;
};

struct sample {
    struct sample *next;
    char *database;
    struct totals last, before; /* at the last tick and at the one before it */
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct sample *samples;
static uint64_t last_tick_us, period_us;

static struct totals totals_of(const struct sy_database_counters *sum)
{
    return (struct totals){{sy_counter_get(&sum->transactions), sy_counter_get(&sum->statements),
                            sy_counter_get(&sum->bytes_from_clients),
                            sy_counter_get(&sum->bytes_to_clients),
                            sy_counter_get(&sum->transaction_us),
                            sy_counter_get(&sum->statement_us), sy_counter_get(&sum->wait_us)},
                           sy_counter_get(&sum->errors),
                           sy_counter_get(&sum->refused)};
}

static struct sample *find_sample(const char *database)
{
    for (struct sample *sample = samples; sample != NULL; sample = sample->next) {
        if (strcmp(sample->database, database) == 0)
            return sample;
    }
    return NULL;
}

static void take_sample(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    (void)ctx;
    struct sample *sample = find_sample(database);
    if (sample == NULL) {
        sample = calloc(1, sizeof(*sample));
        char *name = strdup(database);
        if (sample == NULL || name == NULL) {
            free(sample);
            free(name);
            return; /* the averages of this database read 0 for a minute */
        }
        sample->database = name;
        sample->next = samples;
        samples = sample;
    }
    sample->before = sample->last;
    sample->last = totals_of(sum);
}

void sy_console_stats_tick(uint64_t now_us)
{
    pthread_mutex_lock(&guard);
    period_us = last_tick_us != 0 ? now_us - last_tick_us : 0;
    last_tick_us = now_us;
    sy_metrics_each_database(take_sample, NULL);
    pthread_mutex_unlock(&guard);
}

/* Counts and bytes per second; times per transaction, statement and statement, as PgBouncer reports
 * them. */
static struct totals averages_of(const char *database)
{
    struct totals average = {{0}, 0, 0};
    pthread_mutex_lock(&guard);
    const struct sample *sample = find_sample(database);
    if (sample != NULL && period_us > 0) {
        uint64_t delta[TOTALS];
        for (int i = 0; i < TOTALS; i++)
            delta[i] = sample->last.value[i] - sample->before.value[i];
        for (int i = 0; i < 4; i++)
            average.value[i] = delta[i] * 1000000 / period_us;
        average.value[4] = delta[0] > 0 ? delta[4] / delta[0] : 0;
        average.value[5] = delta[1] > 0 ? delta[5] / delta[1] : 0;
        average.value[6] = delta[1] > 0 ? delta[6] / delta[1] : 0;
    }
    pthread_mutex_unlock(&guard);
    return average;
}

static void write_values(struct sy_console_view *view, const struct totals *totals)
{
    for (int i = 0; i < TOTALS; i++)
        sy_console_int(view, (int64_t)totals->value[i]);
}

static void write_stats(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    struct sy_console_view *view = ctx;
    struct totals total = totals_of(sum), average = averages_of(database);
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, database);
    write_values(view, &total);
    write_values(view, &average);
    sy_console_int(view, (int64_t)total.errors);
    sy_console_int(view, (int64_t)total.refused);
    sy_console_row_end(view, start);
}

static void write_totals(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    struct sy_console_view *view = ctx;
    struct totals total = totals_of(sum);
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, database);
    write_values(view, &total);
    sy_console_row_end(view, start);
}

static void write_averages(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    (void)sum;
    struct sy_console_view *view = ctx;
    struct totals average = averages_of(database);
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, database);
    write_values(view, &average);
    sy_console_row_end(view, start);
}

void sy_show_stats(struct sy_console_view *view)
{
    sy_metrics_each_database(write_stats, view);
}

void sy_show_stats_totals(struct sy_console_view *view)
{
    sy_metrics_each_database(write_totals, view);
}

void sy_show_stats_averages(struct sy_console_view *view)
{
    sy_metrics_each_database(write_averages, view);
}

static void add_totals(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    (void)database;
    struct totals one = totals_of(sum), *all = ctx;
    for (int i = 0; i < TOTALS; i++)
        all->value[i] += one.value[i];
}

void sy_show_totals(struct sy_console_view *view)
{
    static const char *const names[TOTALS] = {
        "total_xact_count", "total_query_count", "total_received", "total_sent",
        "total_xact_time",  "total_query_time",  "total_wait_time"};
    struct totals all = {{0}, 0, 0};
    sy_metrics_each_database(add_totals, &all);
    for (int i = 0; i < TOTALS; i++) {
        size_t start = sy_console_row_begin(view);
        sy_console_text(view, names[i]);
        sy_console_int(view, (int64_t)all.value[i]);
        sy_console_row_end(view, start);
    }
}
