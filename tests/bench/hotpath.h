/*
 * The pure part of the hot path, as the session goes through it, for the benchmarks of this folder:
 * pgbench's tables sharded by aid over two shards, and the messages of one `pgbench -S` transaction
 * in each of the three modes.
 */
#ifndef SY_TESTS_BENCH_HOTPATH_H
#define SY_TESTS_BENCH_HOTPATH_H

#include "parser/scan.h"
#include "router/plan/copy_split.h"
#include "router/plan/plan.h"
#include "router/wire/frame.h"
#include "router/wire/message.h"

#define HOT_SELECT "SELECT abalance FROM pgbench_accounts WHERE aid = 123456;"
#define HOT_SELECT_PARAMETER "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"

struct hot {
    struct sy_arena arena, statement;
    struct sy_parser *parser;
    struct sy_parse_settings settings;
    const struct sy_schema *schema;
    struct sy_plan_context context;
    struct sy_slice search_path;
    struct sy_scanner scanner;
    struct sy_template *prepared; /* of HOT_SELECT_PARAMETER */
    struct sy_scan prepared_scan;
    struct sy_route *literal_route, *parameter_route;
    struct sy_scan literal_scan;
    struct sy_buf simple, extended, bound; /* what the client sends */
    struct sy_buf simple_reply, extended_reply, bound_reply;
};

void hot_init(struct hot *hot);
void hot_release(struct hot *hot);

/* One transaction each: the client's messages read and routed, the server's walked. Returns the
 * shard. */
uint32_t hot_simple(struct hot *hot);
uint32_t hot_extended(struct hot *hot);
uint32_t hot_prepared(struct hot *hot);

#endif
