/*
 * Microbenchmarks: nanoseconds of one operation of the pure stages.
 *
 *     bench_micro                 every case, timed
 *     bench_micro CASE N          N operations of one case, untimed: for callgrind and perf
 *
 * Numbers of one machine at one time; tests/bench/counters watches over instructions instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "tests/bench/hotpath.h"

#define JOIN                                                                                       \
    "SELECT o.id, o.placed_at, c.name, p.title, i.quantity, i.price * i.quantity AS total, "       \
    "s.city FROM orders o "                                                                        \
    "JOIN customers c ON c.id = o.customer_id JOIN items i ON i.order_id = o.id JOIN products p "  \
    "ON p.id = "                                                                                   \
    "i.product_id LEFT JOIN shipments s ON s.order_id = o.id WHERE c.country = 'DE' AND "          \
    "o.placed_at >= "                                                                              \
    "'2026-01-01' AND o.status IN ('open', 'paid', 'sent') AND p.price BETWEEN 10 AND 500 GROUP "  \
    "BY o.id, "                                                                                    \
    "o.placed_at, c.name, p.title, i.quantity, i.price, s.city HAVING sum(i.quantity) > 3 ORDER "  \
    "BY o.placed_at "                                                                              \
    "DESC, total LIMIT 50 OFFSET 100"

enum { ROW_RUN = 1000, FLOOD = 100000 };

struct lab {
    struct hot hot;
    struct sy_buf rows; /* ROW_RUN DataRows */
    struct sy_buf text_rows, csv_rows;
    uint64_t sum; /* keeps the compiler from leaving work out */
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void scan(struct lab *lab)
{
    must(sy_scan_text(&lab->hot.scanner, SY_SLICE(HOT_SELECT), true));
    lab->sum += lab->hot.scanner.literal_count;
}

static void hit(struct lab *lab)
{
    struct sy_template *template;
    struct sy_scan found;
    must(sy_parser_parse(lab->hot.parser, SY_SLICE(HOT_SELECT), &lab->hot.settings, &template,
                         &found, NULL) == SY_OK);
    lab->sum += found.literal_count;
    sy_template_unref(lab->hot.parser, template);
}

static void miss(struct lab *lab, struct sy_slice text)
{
    struct sy_arena arena = {0};
    const struct sy_facts *facts;
    struct sy_scanner *scanner = &lab->hot.scanner;
    must(sy_scan_text(scanner, text, true));
    must(sy_parse_facts(text, scanner->literals, scanner->literal_count, &arena, &facts, NULL) ==
         SY_OK);
    lab->sum += (uint64_t)facts->stmt_count;
    sy_arena_release(&arena);
}

static void miss_select(struct lab *lab)
{
    miss(lab, SY_SLICE(HOT_SELECT));
}

static void miss_join(struct lab *lab)
{
    miss(lab, SY_SLICE(JOIN));
}

static void prepare_route(struct lab *lab)
{
    struct sy_route *route;
    must(sy_route_prepare(&lab->hot.prepared->facts->stmts[0], &lab->hot.context, &route, NULL) ==
         SY_OK);
    lab->sum += sy_route_read_only(route);
    sy_route_free(&route);
}

static void hash_int(struct lab *lab)
{
    struct sy_key key = {.type = SY_KEY_INT4, .integer = (int64_t)(lab->sum & 0xffff)};
    lab->sum += sy_key_bucket(&key);
}

static void hash_text(struct lab *lab)
{
    struct sy_key key = {.type = SY_KEY_TEXT, .text = SY_SLICE("ann-of-green-gables@example.org")};
    lab->sum += sy_key_bucket(&key);
}

static void walk(struct lab *lab)
{
    struct sy_frame_walker walker = {0};
    struct sy_frame_part part;
    enum sy_status status = SY_OK;
    uint32_t offset = 0;
    const struct sy_buf *reply = &lab->hot.simple_reply;
    while (sy_frame_next(&walker, reply->data, (uint32_t)reply->bytes, &offset, &part, &status))
        lab->sum += part.body_run;
}

static void skip_rows(struct lab *lab)
{
    uint32_t frames = 0;
    lab->sum += sy_frame_skip_run(lab->rows.data, (uint32_t)lab->rows.bytes, 0, SY_FRAME_MASK('D'),
                                  &frames);
    must(frames == ROW_RUN);
}

static enum sy_status count_row(void *ctx, uint32_t shard, const char *data, size_t bytes,
                                struct sy_err *err)
{
    struct lab *lab = ctx;
    (void)data;
    (void)err;
    lab->sum += shard + bytes;
    return SY_OK;
}

static void split(struct lab *lab, const struct sy_buf *rows, enum sy_copy_format format)
{
    struct sy_copy_split *split;
    struct sy_copy_facts facts = {.format = format};
    struct sy_copy_split_options options = {
        .copy = &facts, .map = lab->hot.context.map, .column_count = 4, .hash_key_ordinal = -1};
    must(sy_copy_split_new(&options, &split, NULL) == SY_OK);
    must(sy_copy_split_feed(split, rows->data, rows->bytes, count_row, lab, NULL) == SY_OK);
    must(sy_copy_split_end(split, count_row, lab, NULL) == SY_OK);
    sy_copy_split_free(&split);
}

static void split_text(struct lab *lab)
{
    split(lab, &lab->text_rows, SY_COPY_TEXT);
}

static void split_csv(struct lab *lab)
{
    split(lab, &lab->csv_rows, SY_COPY_CSV);
}

static void simple(struct lab *lab)
{
    lab->sum += hot_simple(&lab->hot);
}

static void extended(struct lab *lab)
{
    lab->sum += hot_extended(&lab->hot);
}

static void prepared(struct lab *lab)
{
    lab->sum += hot_prepared(&lab->hot);
}

static const struct bench {
    const char *name, *about;
    void (*run)(struct lab *lab);
    uint32_t per_run; /* operations of one call */
    uint32_t runs;
} benches[] = {
    {"scan", "scanner, pgbench's SELECT", scan, 1, 1000000},
    {"hit", "template cache hit, scan included", hit, 1, 1000000},
    {"miss_select", "facts of pgbench's SELECT, never seen", miss_select, 1, 100000},
    {"miss_join", "facts of a five-way join, never seen", miss_join, 1, 20000},
    {"prepare_route", "route of a new template", prepare_route, 1, 200000},
    {"hash_int4", "bucket of an integer key", hash_int, 1, 5000000},
    {"hash_text", "bucket of a 31-byte text key", hash_text, 1, 5000000},
    {"walk", "frames of a reply of one row", walk, 1, 2000000},
    {"skip_rows", "one DataRow of a run", skip_rows, ROW_RUN, 20000},
    {"split_text", "one COPY row, text", split_text, ROW_RUN, 1000},
    {"split_csv", "one COPY row, CSV", split_csv, ROW_RUN, 1000},
    {"simple", "one -S transaction, simple", simple, 1, 1000000},
    {"extended", "one -S transaction, extended", extended, 1, 1000000},
    {"prepared", "one -S transaction, prepared", prepared, 1, 1000000},
};

static void fill(struct lab *lab)
{
    const struct sy_slice value = SY_SLICE("-1234");
    static const char filler[85] =
        "                                                                                    ";
    for (int i = 0; i < ROW_RUN; i++) {
        sy_write_data_row(&lab->rows, &value, 1);
        sy_buf_printf(&lab->text_rows, "%d\t%d\t0\t%s\n", i * 7, i, filler);
        sy_buf_printf(&lab->csv_rows, "%d,%d,0,\"%s\"\n", i * 7, i, filler);
    }
    must(!lab->rows.failed && !lab->text_rows.failed && !lab->csv_rows.failed);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of five: what the operation costs when nothing disturbs it. */
static double time_of(struct lab *lab, const struct bench *bench)
{
    double best = 0;
    for (int round = 0; round < 5; round++) {
        double start = now_ns();
        for (uint32_t i = 0; i < bench->runs / 5; i++)
            bench->run(lab);
        double took = (now_ns() - start) / (bench->runs / 5) / bench->per_run;
        best = round == 0 || took < best ? took : best;
    }
    return best;
}

static void flood(struct lab *lab)
{
    struct sy_template *template;
    struct sy_scan found;
    for (int i = 0; i < FLOOD; i++) {
        char text[100];
        int bytes = snprintf(text, sizeof(text),
                             "SELECT column_%d FROM pgbench_accounts WHERE aid = %d", i, i);
        must(sy_parser_parse(lab->hot.parser, (struct sy_slice){text, (size_t)bytes},
                             &lab->hot.settings, &template, &found, NULL) == SY_OK);
        sy_template_unref(lab->hot.parser, template);
        if (i % 16 == 0)
            hit(lab);
    }
}

static void run_all(struct lab *lab)
{
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
        printf("%-14s %-42s %10.1f ns\n", benches[i].name, benches[i].about,
               time_of(lab, &benches[i]));
    struct sy_parser_stats before = sy_parser_stats(lab->hot.parser);
    flood(lab);
    struct sy_parser_stats after = sy_parser_stats(lab->hot.parser);
    const struct bench again = {"", "", hit, 1, 1000000};
    printf("%-14s %-42s %10.1f ns\n", "hit_flooded", "template cache hit after 100,000 other texts",
           time_of(lab, &again));
    printf("cache: %zu entries, %zu bytes after the flood (%zu before it), %llu evicted\n",
           after.entries, after.bytes, before.bytes, (unsigned long long)after.evictions);
}

static int run_one(struct lab *lab, const char *name, uint64_t runs)
{
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
        if (strcmp(benches[i].name, name) != 0)
            continue;
        for (uint64_t k = 0; k < runs; k++)
            benches[i].run(lab);
        return 0;
    }
    fprintf(stderr, "bench_micro: no case \"%s\"\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    static struct lab lab;
    uint64_t runs = 0;
    if (argc != 1 && (argc != 3 || sy_number_parse_u64(sy_slice_of(argv[2]), 0, 1000000000, &runs,
                                                       NULL) != SY_OK)) {
        fprintf(stderr, "usage: bench_micro [CASE N]\n");
        return 2;
    }
    hot_init(&lab.hot);
    fill(&lab);
    int status = 0;
    if (argc == 1)
        run_all(&lab);
    else
        status = run_one(&lab, argv[1], runs);
    sy_buf_release(&lab.rows);
    sy_buf_release(&lab.text_rows);
    sy_buf_release(&lab.csv_rows);
    hot_release(&lab.hot);
    return status;
}
