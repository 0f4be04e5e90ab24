/*
 * The admin console: what a client of the database "switchyard" can say. Commands are a table;
 * answers keep PgBouncer's names and columns, so that exporters written for it work, and add
 * columns at the end.
 *
 * The console itself does no waiting: sy_console_parse() tells what a command needs (scope), the
 * worker that owns the session gathers it (from every worker by messages, or by carrying out the
 * action), and sy_console_answer() writes the reply. Pure but for reading the topology and the
 * counters.
 */
#ifndef SY_ROUTER_CONSOLE_CONSOLE_H
#define SY_ROUTER_CONSOLE_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"
#include "router/console/gather.h"

struct sy_topology;
struct sy_console_row; /* a row of the command table */

enum sy_console_scope {
    SY_CONSOLE_EMPTY,   /* nothing but blanks and semicolons: EmptyQueryResponse */
    SY_CONSOLE_NOW,     /* answered from the topology and the counters */
    SY_CONSOLE_WORKERS, /* needs a struct sy_console_gathered filled by every worker */
    SY_CONSOLE_ACTION,  /* the worker carries out `action` on `argument`, then calls
                           sy_console_answer() */
};

enum sy_console_action {
    SY_ACTION_NONE,
    SY_ACTION_PAUSE, /* argument: database, empty: all. Done when no server of it is in use. */
    SY_ACTION_RESUME,
    SY_ACTION_RELOAD,
    SY_ACTION_RECONNECT,
    SY_ACTION_KILL,        /* drops the clients and servers of a database, and pauses it */
    SY_ACTION_KILL_CLIENT, /* number: client id as in SHOW CLIENTS (ptr) */
    SY_ACTION_DISABLE,     /* no new clients for a database */
    SY_ACTION_ENABLE,
    SY_ACTION_SHUTDOWN, /* graceful: as SIGTERM */
    SY_ACTION_SHUTDOWN_NOW,
    SY_ACTION_RESOLVE, /* argument: GID, number: 1 commits, 0 rolls back */
    SY_ACTION_DECLARE, /* text: the statement (config/declaration.h), argument: its database, empty:
                          not said */
};

struct sy_console_rights {
    bool admin; /* everything */
    bool stats; /* SHOW only */
};

enum { SY_CONSOLE_ARGUMENT_BYTES = 256 };

struct sy_console_command {
    const struct sy_console_row *row;
    enum sy_console_scope scope;
    enum sy_console_action action;
    char argument[SY_CONSOLE_ARGUMENT_BYTES];
    uint64_t number;
    struct sy_slice text; /* borrowed from what was parsed */
};

/*
 * Reads one command (a closing semicolon is allowed). Errors: SY_E_SYNTAX for what is no command,
 * with a hint at SHOW HELP; SY_E_PRIVILEGE; SY_E_UNSUPPORTED for a PgBouncer command that has no
 * meaning here.
 */
SY_MUST_CHECK enum sy_status sy_console_parse(struct sy_slice sql,
                                              const struct sy_console_rights *rights,
                                              struct sy_console_command *ret_command,
                                              struct sy_err *err);

/* Takes the next command off *rest: up to a semicolon outside of quotes; empty ones are left
 * out. Empty: there is none. */
struct sy_slice sy_console_cut(struct sy_slice *rest);

/*
 * Appends the whole reply up to and including CommandComplete; the caller adds ReadyForQuery.
 * `gathered`: one element per worker for SY_CONSOLE_WORKERS, else NULL and 0.
 */
void sy_console_answer(const struct sy_console_command *command, const struct sy_topology *topology,
                       const struct sy_console_gathered *gathered, uint32_t worker_count,
                       struct sy_buf *out);

/* Columns of the command's answer, for Describe in the extended protocol: RowDescription or NoData.
 */
void sy_console_describe(const struct sy_console_command *command, struct sy_buf *out);

/* Called once a minute (by worker 0): the averages of SHOW STATS are over the last minute. now_us:
 * monotonic. */
enum { SY_CONSOLE_STATS_PERIOD_US = 60 * 1000000 };
void sy_console_stats_tick(uint64_t now_us);

/* Names of all commands with their one-line help, for SHOW HELP and the documentation test. */
void sy_console_each_command(void (*row)(void *ctx, const char *syntax, const char *help),
                             void *ctx);

#endif
