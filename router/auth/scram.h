/*
 * SCRAM-SHA-256 (and -PLUS), both sides, as pure state machines: messages in, messages out. The
 * expensive step (PBKDF2) is separate, so that it can run off the loop and its result be cached.
 *
 * Source: RFC 5802, RFC 7677, RFC 5929/9266 (channel binding), PostgreSQL 15 manual 55.3.
 */
#ifndef SY_ROUTER_AUTH_SCRAM_H
#define SY_ROUTER_AUTH_SCRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    SY_SCRAM_KEY_BYTES = 32,
    SY_SCRAM_SALT_BYTES_MAX = 64,
    SY_SCRAM_NONCE_BYTES_MAX = 256,
    SY_SCRAM_ITERATIONS_MIN = 4096,
    SY_SCRAM_ITERATIONS_MAX = 100000, /* what a server may demand of us */
};

/* Where an exchange stands. A call out of order gives SY_E_STATE; after any error nothing more
 * succeeds. */
enum sy_scram_state {
    SY_SCRAM_START,      /* nothing said */
    SY_SCRAM_FIRST_DONE, /* server: server-first sent; client: client-first sent */
    SY_SCRAM_SALTED,     /* client: server-first read, keys wanted */
    SY_SCRAM_PROVEN,     /* client: client-final sent */
    SY_SCRAM_DONE,
    SY_SCRAM_FAILED,
};

/* A stored secret: "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey". */
struct sy_scram_secret {
    uint32_t iterations;
    uint8_t salt[SY_SCRAM_SALT_BYTES_MAX];
    uint32_t salt_bytes;
    uint8_t stored_key[SY_SCRAM_KEY_BYTES], server_key[SY_SCRAM_KEY_BYTES];
};

/* Errors: SY_E_VALUE: another form, fewer than SY_SCRAM_ITERATIONS_MIN iterations, no salt or too
 * much. */
SY_MUST_CHECK enum sy_status sy_scram_secret_parse(struct sy_slice text,
                                                   struct sy_scram_secret *ret, struct sy_err *err);
void sy_scram_secret_write(const struct sy_scram_secret *secret, struct sy_buf *out);
/* From a password (SASLprep applied). Blocks: PBKDF2, about 1-5 ms: never on a loop. */
SY_MUST_CHECK enum sy_status sy_scram_secret_derive(struct sy_slice password, const uint8_t *salt,
                                                    uint32_t salt_bytes, uint32_t iterations,
                                                    struct sy_scram_secret *ret,
                                                    struct sy_err *err);
/* The same from keys that were derived elsewhere (hash pool). */
void sy_scram_secret_from_keys(const uint8_t *salt, uint32_t salt_bytes, uint32_t iterations,
                               const uint8_t client_key[32], const uint8_t server_key[32],
                               struct sy_scram_secret *ret);
/* A salt that stays the same for a user, existing or not: SHA-256(user, mock_nonce) cut to 16
 * bytes. */
enum { SY_SCRAM_USER_SALT_BYTES = 16 };
/* Whether a secret belongs to these keys; constant time. */
bool sy_scram_secret_matches(const struct sy_scram_secret *secret, const uint8_t client_key[32],
                             const uint8_t server_key[32]);
/* A deterministic secret for users that do not exist: the exchange looks the same and always fails.
 */
void sy_scram_secret_mock(struct sy_slice user, const uint8_t mock_nonce[32],
                          struct sy_scram_secret *ret);

/* ---- server side (clients log in to us) ---- */
struct sy_scram_server {
    enum sy_scram_state state;
    char gs2_flag; /* 'n', 'y' or 'p' of client-first: client-final must repeat it */
    struct sy_scram_secret secret;
    bool mock;           /* unknown user or unusable secret: must fail at the end */
    bool plus;           /* mechanism chosen: -PLUS */
    bool tls;            /* -PLUS was offered */
    uint8_t binding[64]; /* tls-server-end-point hash */
    uint32_t binding_bytes;
    struct sy_buf client_first_bare, server_first;
    char nonce[SY_SCRAM_NONCE_BYTES_MAX];
    uint8_t client_key[SY_SCRAM_KEY_BYTES]; /* recovered on success, for pass-through */
};
void sy_scram_server_init(struct sy_scram_server *server, const struct sy_scram_secret *secret,
                          bool mock);
void sy_scram_server_release(struct sy_scram_server *server); /* zeroes key material */
/*
 * client-first-message -> server-first-message. `plus`: the mechanism that the client chose; set
 * server->tls (and binding) before when -PLUS was offered. server_nonce: printable, from a CSPRNG,
 * at least 18 characters. Errors: SY_E_PROTOCOL, SY_E_UNSUPPORTED (authorization identity,
 * extensions), SY_E_AUTH_SPEC (downgrade seen).
 */
SY_MUST_CHECK enum sy_status sy_scram_server_first(struct sy_scram_server *server,
                                                   struct sy_slice message, bool plus,
                                                   const char *server_nonce, struct sy_buf *out,
                                                   struct sy_err *err);
/* client-final-message -> server-final-message. Errors: SY_E_AUTH (wrong proof), SY_E_PROTOCOL. */
SY_MUST_CHECK enum sy_status sy_scram_server_final(struct sy_scram_server *server,
                                                   struct sy_slice message, struct sy_buf *out,
                                                   struct sy_err *err);

/* ---- client side (we log in to servers) ---- */
struct sy_scram_client {
    enum sy_scram_state state;
    bool plus;
    uint8_t binding[64]; /* known without `plus`: tells the server that we could have bound ("y") */
    uint32_t binding_bytes;
    char nonce[64];
    struct sy_buf first_bare, server_first;
    uint32_t iterations;
    uint8_t salt[SY_SCRAM_SALT_BYTES_MAX];
    uint32_t salt_bytes;
    uint8_t client_key[SY_SCRAM_KEY_BYTES], stored_key[SY_SCRAM_KEY_BYTES],
        server_key[SY_SCRAM_KEY_BYTES];
    bool have_keys;
    char server_signature[64];
};
void sy_scram_client_init(struct sy_scram_client *client, bool plus, const uint8_t *binding,
                          uint32_t binding_bytes);
void sy_scram_client_release(struct sy_scram_client *client);
SY_MUST_CHECK enum sy_status sy_scram_client_first(struct sy_scram_client *client,
                                                   const char *nonce, struct sy_buf *out,
                                                   struct sy_err *err);
/* Reads server-first: afterwards salt and iterations are known and keys must be supplied (cache or
 * PBKDF2). */
SY_MUST_CHECK enum sy_status sy_scram_client_server_first(struct sy_scram_client *client,
                                                          struct sy_slice message,
                                                          struct sy_err *err);
void sy_scram_client_set_keys(struct sy_scram_client *client, const uint8_t client_key[32],
                              const uint8_t server_key[32]);
SY_MUST_CHECK enum sy_status sy_scram_client_final(struct sy_scram_client *client,
                                                   struct sy_buf *out, struct sy_err *err);
/* Checks the server's signature: the server must know the secret too. */
SY_MUST_CHECK enum sy_status sy_scram_client_verify(struct sy_scram_client *client,
                                                    struct sy_slice message, struct sy_err *err);

/* Blocks: PBKDF2. From a password to both keys. */
SY_MUST_CHECK enum sy_status sy_scram_derive_keys(struct sy_slice password, const uint8_t *salt,
                                                  uint32_t salt_bytes, uint32_t iterations,
                                                  uint8_t ret_client_key[32],
                                                  uint8_t ret_server_key[32], struct sy_err *err);

/*
 * "md5" + md5(md5(password + user) + salt), 35 characters and a zero byte. stored: "md5..." or
 * clear text. An empty string when MD5 is not available (FIPS): compare nothing with that.
 */
void sy_md5_response(struct sy_slice user, struct sy_slice stored, const uint8_t salt[4],
                     char ret_text[36]);

/* "md5" + md5(password + user): what a server stores. The same shape and the same failure. */
void sy_md5_secret(struct sy_slice user, struct sy_slice password, char ret_text[36]);
/* Whether a text is such a secret: "md5" and 32 lower-case hexadecimal digits. */
bool sy_md5_is_secret(struct sy_slice text);

/* tls-server-end-point of a certificate (RFC 5929). Returns the length, 0 when there is none. */
struct x509_st;
uint32_t sy_tls_server_end_point(struct x509_st *certificate, uint8_t ret_hash[64]);

#endif
