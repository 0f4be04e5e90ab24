/*
 * What a known statement costs the parser: scan plus lookup, and for comparison the whole parse
 * behind a miss. Prints nanoseconds per call; under callgrind run it with a small count for
 * instructions.
 *
 *     bench_micro_parser [calls]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "parser/parser.h"
#include "parser/scan.h"

enum { VARIANTS = 64, ROUNDS = 5 };

struct workload {
    const char *name, *before, *after; /* a number stands between the two */
    bool hints;
};

static const struct workload workloads[] = {
    {"pgbench select", "SELECT abalance FROM pgbench_accounts WHERE aid = ", ";", false},
    {"pgbench update", "UPDATE pgbench_tellers SET tbalance = tbalance + -", " WHERE tid = 7;",
     false},
    {"pgbench insert", "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, ",
     ", -300, CURRENT_TIMESTAMP);", false},
    {"prepared", "SELECT abalance FROM pgbench_accounts WHERE aid = $1; -- ", "", false},
    {"begin", "BEGIN -- ", "", false},
    {"with a hint",
     "/* switchyard: role=primary */ SELECT abalance FROM pgbench_accounts WHERE aid = ", ";",
     true},
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const struct sy_err *err)
{
    fprintf(stderr, "bench_micro_parser: %s\n", err->text);
    exit(1);
}

static double hit_ns(struct sy_parser *parser, char texts[VARIANTS][256],
                     const struct sy_parse_settings *settings, long calls)
{
    struct sy_slice slices[VARIANTS];
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    struct sy_err err = {.status = SY_OK};
    for (int i = 0; i < VARIANTS; i++)
        slices[i] = sy_slice_of(texts[i]);
    double start = now_ns();
    for (long i = 0; i < calls; i++) {
        if (sy_parser_parse(parser, slices[i % VARIANTS], settings, &template_, &scan, &err) !=
            SY_OK)
            die(&err);
        sy_template_unref(parser, template_);
    }
    return (now_ns() - start) / (double)calls;
}

static double miss_ns(struct sy_scanner *scanner, const char *text, long calls)
{
    struct sy_err err = {.status = SY_OK};
    struct sy_slice slice = sy_slice_of(text);
    double start = now_ns();
    for (long i = 0; i < calls; i++) {
        struct sy_arena arena = {.blocks = NULL};
        const struct sy_facts *facts = NULL;
        if (!sy_scan_text(scanner, slice, true) ||
            sy_parse_facts(slice, scanner->literals, scanner->literal_count, &arena, &facts,
                           &err) != SY_OK)
            die(&err);
        sy_arena_release(&arena);
    }
    return (now_ns() - start) / (double)calls;
}

static void run(struct sy_parser *parser, const struct workload *workload, long calls)
{
    static char texts[VARIANTS][256];
    struct sy_scanner scanner = {.literals = NULL};
    const struct sy_parse_settings settings = {
        .standard_conforming_strings = true,
        .hints_enabled = workload->hints,
    };
    double best_hit = 1e9, best_miss = 1e9;
    for (int i = 0; i < VARIANTS; i++)
        snprintf(texts[i], sizeof(texts[i]), "%s%d%s", workload->before, 1000 + i * 7919,
                 workload->after);
    for (int round = 0; round < ROUNDS; round++) {
        double hit = hit_ns(parser, texts, &settings, calls);
        double miss = miss_ns(&scanner, texts[0], calls / 10 + 1);
        best_hit = hit < best_hit ? hit : best_hit;
        best_miss = miss < best_miss ? miss : best_miss;
    }
    printf("%-16s hit %7.1f ns   parse and facts %8.1f ns\n", workload->name, best_hit, best_miss);
    sy_scanner_release(&scanner);
}

int main(int argc, char **argv)
{
    long calls = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    struct sy_parser *parser = NULL;
    struct sy_err err = {.status = SY_OK};
    if (sy_parser_new(NULL, &parser, &err) != SY_OK)
        die(&err);
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
        run(parser, &workloads[i], calls);
    struct sy_parser_stats stats = sy_parser_stats(parser);
    printf("hits %llu misses %llu\n", (unsigned long long)stats.hits,
           (unsigned long long)stats.misses);
    sy_parser_free(&parser);
    return 0;
}
