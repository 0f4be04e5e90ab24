/*
 * A server session of a real PostgreSQL: internal to router/engine/postgres.
 *
 *     dialling -> auth -> [sasl_first -> hashing -> sasl_final] -> starting -> ready -> closing
 *
 * dialling    the dial is not up                                          (dial.c)
 * auth        startup packet sent, no authentication request answered     (login.c)
 * sasl_first  SCRAM client-first sent; salt and iterations are awaited
 * hashing     PBKDF2 runs on the hash pool; nothing may come from the server
 * sasl_final  proof sent; the server's signature is awaited
 * starting    AuthenticationOk seen: parameters, cancel key, ReadyForQuery
 * ready       bytes pass through
 * closing     over; `closed` follows
 */
#ifndef SY_ROUTER_ENGINE_POSTGRES_LINK_H
#define SY_ROUTER_ENGINE_POSTGRES_LINK_H

#include "base/buf.h"
#include "base/limits.h"
#include "router/auth/hash_pool.h"
#include "router/auth/scram.h"
#include "router/engine/engine.h"
#include "router/engine/parameters.h"
#include "router/engine/postgres/dial.h"

enum pg_link_state {
    PG_LINK_DIALLING,
    PG_LINK_AUTH,
    PG_LINK_SASL_FIRST,
    PG_LINK_HASHING,
    PG_LINK_SASL_FINAL,
    PG_LINK_STARTING,
    PG_LINK_READY,
    PG_LINK_CLOSING
};

enum {
    PG_USER_BYTES_MAX = SY_LIMIT_SERVER_NAME_BYTES,
    PG_PASSWORD_BYTES_MAX = 1023,
    PG_CANCEL_KEY_BYTES_MAX = 256
};

/* What exists only until the session is ready. */
struct pg_login {
    char user[PG_USER_BYTES_MAX + 1];
    char database[PG_USER_BYTES_MAX + 1];
    char password[PG_PASSWORD_BYTES_MAX + 1]; /* zeroed when it is not needed any more */
    size_t password_bytes;
    bool have_keys; /* the client's own; used where there is no password */
    struct sy_link_keys keys;
    struct sy_buf in; /* received, not yet a whole message */
    bool verified;    /* SCRAM: the server proved that it knows the secret */
    bool proved;      /* we sent a proof that asks for that */
    bool answered;    /* any authentication request was answered */
    bool hashing;     /* the job is with the hash pool: this memory must stay */
    uint32_t messages;
    struct sy_scram_client scram;
    struct sy_hash_job job;
    struct pg_link *link;
};

struct pg_link {
    struct sy_link base;
    struct pg_dial dial;
    enum pg_link_state state;
    struct pg_login *login; /* NULL once ready */
    uint8_t cancel_key[PG_CANCEL_KEY_BYTES_MAX];
    uint32_t cancel_key_bytes;
    bool gone;         /* the dial has closed; `closed` waits for the hash pool */
    struct sy_err why; /* of that */
};

/* login.c: sends the startup packet. */
void pg_login_begin(struct pg_link *link);
/* login.c: takes received bytes; tells the link when ReadyForQuery was seen. */
void pg_login_take(struct pg_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to);
/* login.c: zeroes secrets and frees. Not while the hash pool has the job. */
void pg_login_free(struct pg_login **login);

/* link.c */
void pg_link_fail(struct pg_link *link, const struct sy_err *why);
/* Reports `closed` and frees. */
void pg_link_finish(struct pg_link *link, const struct sy_err *why);
void pg_link_set_state(struct pg_link *link, enum pg_link_state state);

/* cancel.c */
void pg_cancel_send(struct pg_link *link, void (*done)(void *ctx), void *ctx);

#endif
