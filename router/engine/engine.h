/*
 * One interface for every engine. A link is a server session that takes frontend messages of the
 * PostgreSQL protocol (version 3.0) and gives backend messages, byte for byte, whatever runs behind
 * it: a real server over a socket (postgres), an in-process SQLite shard on an engine thread
 * (sqlite), MariaDB (mysql).
 *
 * Everything is called on the link's loop; callbacks come on that loop, never inside a call of this
 * interface.
 */
#ifndef SY_ROUTER_ENGINE_ENGINE_H
#define SY_ROUTER_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"
#include "config/config.h"

struct sy_link;
struct sy_stream;
struct sy_node; /* router/topology */
struct sy_topology_database;
struct sy_topology_schema;

struct sy_link_events {
    /* Authenticated and ReadyForQuery ('I') was seen; parameters can be read. */
    void (*opened)(struct sy_link *link);
    /* Backend bytes chunk->data[from..to), everything after that first ReadyForQuery. The chunk is
     * borrowed. */
    void (*data)(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to);
    /* What was queued has mostly gone out: the client may be read again. */
    void (*drained)(struct sy_link *link);
    /* Over; exactly once; the link is freed after this returns. Failure to open ends here too. why
     * may be NULL. */
    void (*closed)(struct sy_link *link, const struct sy_err *why);
};

/* A client's SCRAM keys, to log in at servers whose stored secret has the same salt and iterations:
 * whoever has these can be that user there. Wiped by whoever holds a copy. */
struct sy_link_keys {
    uint8_t client_key[32], server_key[32];
    uint8_t salt[64];
    uint32_t salt_bytes, iterations;
    uint8_t identity[16]; /* of the secret they belong to; tells versions of a password apart */
};

struct sy_link_target {
    struct sy_node *node;     /* referenced by the link while it lives */
    struct sy_slice user;     /* server user */
    struct sy_slice password; /* clear text, or empty */
    const struct sy_link_keys
        *keys;                /* the client's own, used where no password is given; or NULL */
    struct sy_slice database; /* of the servers; empty: the node's conninfo says */
    struct sy_slice client_database; /* the name the client knows (current_database()) */
    uint64_t connect_timeout_us;
};

/* What the last shard of a transaction over several is told to decide. */
struct sy_decision {
    const char *key;       /* of the transaction: the GIDs of its prepared participants begin so */
    const char *names;     /* of all its shards, for people */
    uint32_t participants; /* how many are prepared */
};

struct sy_engine {
    const char *name;
    /* Writes the statements with which the decider commits, and with it all participants that were
     * prepared before (PREPARE TRANSACTION): the commit point. NULL: transactions over several
     * shards are refused. */
    void (*write_decision)(const struct sy_decision *decision, char *sql, size_t bytes);
    /* Starts to open; the result comes as `opened` or `closed`. Errors: only what is known at once.
     */
    enum sy_status (*open)(struct sy_loop *loop, const struct sy_link_target *target,
                           const struct sy_link_events *events, void *owner,
                           struct sy_link **ret_link, struct sy_err *err);
    /* Queues frontend messages; takes its own reference where it keeps the chunk. */
    void (*send)(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to);
    void (*send_copy)(struct sy_link *link, const void *data, size_t bytes);
    bool (*congested)(const struct sy_link *link);
    void (*pause)(struct sy_link *link); /* stop delivering `data` */
    void (*resume)(struct sy_link *link);
    /* Asks the server to cancel what runs on this link; `done` (may be NULL) is called when the
     * request was delivered or has failed: only then may the link be used for another client. */
    void (*cancel)(struct sy_link *link, void (*done)(void *ctx), void *ctx);
    /* Ends the session (Terminate where that makes sense); `closed` follows. */
    void (*close)(struct sy_link *link);
    /*
     * Reads the schemas of a database's shards for the router. Blocks: for the inspector's thread
     * only. Ownership: *ret_schema has one reference. *ret_complete: every shard was read.
     */
    enum sy_status (*inspect)(const struct sy_topology_database *database,
                              struct sy_topology_schema **ret_schema, bool *ret_complete,
                              struct sy_err *err);
};

/* What every link starts with; an engine's own link embeds it first. */
struct sy_link {
    const struct sy_engine *engine;
    const struct sy_link_events *events;
    void *owner;
    struct sy_loop *loop;
    struct sy_node *node;
    uint64_t id; /* of this process, for SHOW SERVERS */
    uint32_t backend_pid;
    uint64_t epoch;                 /* topology epoch it was opened under */
    const struct sy_stream *stream; /* the socket, for SHOW SERVERS; NULL: there is none */
    struct sy_parameters
        *parameters; /* last value of every ParameterStatus: router/engine/parameters.h */
};

const struct sy_engine *sy_engine_postgres(void);
const struct sy_engine *sy_engine_sqlite(void);

/* Which engine a pool opens links with: the program registers each at start, before threads. Any
 * thread may ask; NULL: not registered. */
void sy_engine_register(enum sy_engine_kind kind, const struct sy_engine *engine);
const struct sy_engine *sy_engine_of(enum sy_engine_kind kind);
/* For engines: the id of a new link. Any thread. */
uint64_t sy_link_next_id(void);

#endif
