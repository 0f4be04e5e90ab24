/* Shared by the files of router/console/ only. */
#ifndef SY_ROUTER_CONSOLE_INTERNAL_H
#define SY_ROUTER_CONSOLE_INTERNAL_H

#include "router/console/console.h"
#include "router/topology/topology.h"

/* What an answer is written from. */
struct sy_console_view {
    const struct sy_console_command *command;
    const struct sy_topology *topology;
    const struct sy_console_gathered *gathered;
    uint32_t worker_count;
    struct sy_buf *out;
    uint32_t rows;
    uint16_t column_count;
};

struct sy_console_column {
    const char *name;
    char type; /* 't' text, 'i' int8 */
};

struct sy_console_row {
    const char *words;    /* "SHOW POOLS": as typed, blanks between words */
    const char *argument; /* NULL: none; "[db]": optional; "db": required (shown in the syntax) */
    enum sy_console_scope scope;
    enum sy_console_action action;
    bool needs_admin;
    const struct sy_console_column *columns; /* ends with a NULL name; NULL: no rows */
    void (*write_rows)(struct sy_console_view *view);
    const char *tag; /* of CommandComplete */
    const char *help;
};

extern const struct sy_console_row sy_console_rows[]; /* ends with NULL words */

/* Rows: begin, then one cell per column in order, then end. */
size_t sy_console_row_begin(struct sy_console_view *view);
void sy_console_row_end(struct sy_console_view *view, size_t start);
void sy_console_text(struct sy_console_view *view, const char *text); /* NULL: SQL NULL */
void sy_console_slice(struct sy_console_view *view, struct sy_slice text);
void sy_console_int(struct sy_console_view *view, int64_t number);
void sy_console_time(struct sy_console_view *view, int64_t wall_us); /* "2026-11-24 08:47:08 UTC" */
void sy_console_id(struct sy_console_view *view, uint64_t id);       /* "0x1f", empty for 0 */

/* show_sockets.c, show_stats.c, show_topology.c, show_transactions.c */
void sy_show_clients(struct sy_console_view *view);
void sy_show_servers(struct sy_console_view *view);
void sy_show_sockets(struct sy_console_view *view);
void sy_show_pools(struct sy_console_view *view);
void sy_show_databases(struct sy_console_view *view);
void sy_show_stats(struct sy_console_view *view);
void sy_show_stats_totals(struct sy_console_view *view);
void sy_show_stats_averages(struct sy_console_view *view);
void sy_show_totals(struct sy_console_view *view);
void sy_show_lists(struct sy_console_view *view);
void sy_show_users(struct sy_console_view *view);
void sy_show_config(struct sy_console_view *view);
void sy_show_version(struct sy_console_view *view);
void sy_show_shards(struct sy_console_view *view);
void sy_show_keyspaces(struct sy_console_view *view);
void sy_show_tables(struct sy_console_view *view);
void sy_show_federation(struct sy_console_view *view);
void sy_show_nodes(struct sy_console_view *view);
void sy_show_transactions(struct sy_console_view *view);
/* A notice with what is known of the transaction that is to be resolved. */
void sy_console_tell_evidence(struct sy_console_view *view);
void sy_show_help(struct sy_console_view *view);

#endif
