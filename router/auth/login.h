/*
 * The login of one client as a pure state machine: the rule's method, the user's entry and the
 * client's messages come in; messages to send and a verdict come out. The session drives it.
 *
 *     START --start--> MESSAGE --message--> HASH --hashed--> MESSAGE ... --> OK | FAILED
 *
 * Every step returns what is wanted next. Bytes appended to `out` are to be sent whatever the step
 * was, except when it is FAILED: then nothing was appended and *err has what the client is to read
 * (FATAL). On OK, AuthenticationOk is the last message of `out`.
 *
 * A user that does not exist, one without a usable credential and one with a wrong password get the
 * same messages and the same error, and the same work is done for them: `unknown_as` says which
 * kind of credential to imitate.
 */
#ifndef SY_ROUTER_AUTH_LOGIN_H
#define SY_ROUTER_AUTH_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "router/auth/hash_pool.h"
#include "router/auth/scram.h"

enum sy_login_step {
    SY_LOGIN_MESSAGE, /* wants the body of the client's next 'p' message */
    SY_LOGIN_HASH,    /* wants keys: sy_login_fill_job(), submit, then sy_login_hashed() */
    SY_LOGIN_OK,
    SY_LOGIN_FAILED,
};

enum sy_credential {
    SY_CREDENTIAL_NONE,
    SY_CREDENTIAL_CLEAR,
    SY_CREDENTIAL_MD5,
    SY_CREDENTIAL_SCRAM
};

/* "SCRAM-SHA-256$...", "md5..." or clear text. */
enum sy_credential sy_credential_of(const struct sy_config_user *user);

struct sy_login_input {
    enum sy_auth_method method;
    struct sy_slice user;               /* as the startup packet names it; borrowed until the end */
    const struct sy_config_user *entry; /* NULL: no such user; borrowed until the end */
    enum sy_credential unknown_as;      /* what most users have: an unknown one behaves like them */
    bool is_tls, is_local;              /* a clear-text password is asked for only on one of them */
    struct sy_slice
        certificate_user;   /* common name of a verified client certificate, or data NULL */
    const uint8_t *binding; /* tls-server-end-point of our certificate, or NULL */
    uint32_t binding_bytes;
    const uint8_t *mock_nonce; /* 32 secret bytes that stay the same while the cluster lives */
    uint8_t md5_salt[4];       /* from a CSPRNG, fresh */
    char server_nonce[64]; /* printable without a comma, at least 18 characters from a CSPRNG, fresh
                            */
};

/* Embeddable. Fields are the machine's own. */
struct sy_login {
    struct sy_login_input input;
    enum sy_login_state {
        SY_LOGIN_AT_START,
        SY_LOGIN_AT_PASSWORD,
        SY_LOGIN_AT_PASSWORD_HASH,
        SY_LOGIN_AT_MD5,
        SY_LOGIN_AT_SCRAM_HASH,
        SY_LOGIN_AT_SCRAM_FIRST,
        SY_LOGIN_AT_SCRAM_FINAL,
        SY_LOGIN_AT_END
    } state;
    enum sy_credential credential; /* real or imitated */
    bool mock;                     /* must fail at the end */
    struct sy_scram_secret secret;
    struct sy_scram_server scram;
    struct sy_buf typed;  /* clear-text password of the client, for the hash */
    bool have_client_key; /* scram.client_key may be reused towards servers */
};

/* Begins. `login` is overwritten; call sy_login_release() at the end whatever happened. */
enum sy_login_step sy_login_start(struct sy_login *login, const struct sy_login_input *input,
                                  struct sy_buf *out, struct sy_err *err);
enum sy_login_step sy_login_message(struct sy_login *login, struct sy_slice body,
                                    struct sy_buf *out, struct sy_err *err);
/* Password, salt and iterations of the job that SY_LOGIN_HASH asks for. `loop`, `owner` and `done`
 * are the caller's. */
void sy_login_fill_job(const struct sy_login *login, struct sy_hash_job *job);
enum sy_login_step sy_login_hashed(struct sy_login *login, const struct sy_hash_job *job,
                                   struct sy_buf *out, struct sy_err *err);
/* Wipes key material. Harmless on a zeroed or released machine. */
void sy_login_release(struct sy_login *login);

#endif
