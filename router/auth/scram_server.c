/* SCRAM, the side that clients log in to. Pure: the nonce and the secret come in, messages go out.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "base/base64.h"
#include "router/auth/scram_keys.h"

enum { SERVER_NONCE_BYTES_MIN = 18 };

void sy_scram_server_init(struct sy_scram_server *server, const struct sy_scram_secret *secret,
                          bool mock)
{
    memset(server, 0, sizeof(*server));
    server->secret = *secret;
    server->mock = mock;
}

void sy_scram_server_release(struct sy_scram_server *server)
{
    sy_buf_release(&server->client_first_bare);
    sy_buf_release(&server->server_first);
    OPENSSL_cleanse(server, sizeof(*server));
}

static enum sy_status malformed(struct sy_err *err, const char *detail)
{
    enum sy_status status = sy_err_set(err, SY_E_PROTOCOL, "malformed SCRAM message");
    sy_err_detail(err, "%s", detail);
    return status;
}

/* The channel-binding flag against the mechanism chosen and what was offered. */
static enum sy_status check_flag(const struct sy_scram_server *server, char flag, bool plus,
                                 struct sy_slice name, struct sy_err *err)
{
    switch (flag) {
    case 'n':
        if (plus)
            return malformed(err,
                             "The client chose SCRAM-SHA-256-PLUS without channel binding data.");
        return SY_OK;
    case 'y':
        if (plus)
            return malformed(err,
                             "The client chose SCRAM-SHA-256-PLUS without channel binding data.");
        if (server->tls) {
            enum sy_status status =
                sy_err_set(err, SY_E_AUTH_SPEC, "SCRAM channel binding negotiation error");
            sy_err_detail(err,
                          "The client supports SCRAM channel binding but thinks the server does "
                          "not. However, this server does support channel binding.");
            return status;
        }
        return SY_OK;
    case 'p':
        if (!plus)
            return malformed(err, "The client chose SCRAM-SHA-256 with channel binding data.");
        if (!sy_slice_eq(name, SY_SLICE("tls-server-end-point")))
            return sy_err_set(err, SY_E_PROTOCOL, "unsupported SCRAM channel-binding type");
        return SY_OK;
    default:
        return malformed(err, "Unexpected channel-binding flag.");
    }
}

/* Takes the gs2 header, "n,," or "y,," or "p=type,,", from *rest. */
static enum sy_status take_header(const struct sy_scram_server *server, struct sy_slice *rest,
                                  bool plus, char *ret_flag, struct sy_err *err)
{
    if (rest->bytes < 2)
        return malformed(err, "The message is too short.");
    char flag = rest->data[0];
    struct sy_slice name = {NULL, 0};
    if (flag == 'p') {
        if (!sy_scram_attribute(rest, 'p', &name))
            return malformed(err, "Expected a channel-binding type.");
    } else {
        if (rest->data[1] != ',')
            return malformed(err, "Expected a comma after the channel-binding flag.");
        *rest = (struct sy_slice){rest->data + 2, rest->bytes - 2};
    }
    enum sy_status status = check_flag(server, flag, plus, name, err);
    if (status != SY_OK)
        return status;
    if (rest->bytes > 0 && rest->data[0] == 'a')
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "client uses authorization identity, but it is not supported");
    if (rest->bytes == 0 || rest->data[0] != ',')
        return malformed(err, "Expected a comma after the authorization identity.");
    *rest = (struct sy_slice){rest->data + 1, rest->bytes - 1};
    *ret_flag = flag;
    return SY_OK;
}

/* client-first-message-bare: the name (ignored, as PostgreSQL: the startup packet's counts) and the
 * nonce. */
static enum sy_status take_bare(struct sy_slice bare, struct sy_slice *ret_nonce,
                                struct sy_err *err)
{
    struct sy_slice rest = bare, user, nonce;
    if (rest.bytes > 0 && rest.data[0] == 'm')
        return sy_err_set(err, SY_E_UNSUPPORTED, "client requires an unsupported SCRAM extension");
    if (!sy_scram_attribute(&rest, 'n', &user) || !sy_scram_attribute(&rest, 'r', &nonce))
        return malformed(err, "Expected a user name and a nonce.");
    while (rest.bytes > 0) {
        char attribute;
        struct sy_slice value;
        if (!sy_scram_any_attribute(&rest, &attribute, &value))
            return malformed(err, "Damaged extension.");
    }
    if (!sy_scram_nonce_ok(nonce))
        return malformed(err, "The nonce has unprintable characters.");
    *ret_nonce = nonce;
    return SY_OK;
}

static enum sy_status server_first(struct sy_scram_server *server, struct sy_slice message,
                                   bool plus, const char *server_nonce, struct sy_err *err)
{
    struct sy_slice rest = message, nonce = {0};
    enum sy_status status = take_header(server, &rest, plus, &server->gs2_flag, err);
    if (status == SY_OK)
        status = take_bare(rest, &nonce, err);
    if (status != SY_OK)
        return status;
    size_t own = strlen(server_nonce);
    if (own < SERVER_NONCE_BYTES_MIN || own >= sizeof(server->nonce))
        return sy_err_set(err, SY_E_INTERNAL, "the server's nonce has %zu characters", own);
    if (nonce.bytes > sizeof(server->nonce) - 1 - own)
        return malformed(err, "The nonce is too long.");
    memcpy(server->nonce, nonce.data, nonce.bytes);
    memcpy(server->nonce + nonce.bytes, server_nonce, own + 1);
    server->plus = plus;
    sy_buf_append_slice(&server->client_first_bare, rest);
    sy_buf_printf(&server->server_first, "r=%s,s=", server->nonce);
    sy_base64_append(&server->server_first, server->secret.salt, server->secret.salt_bytes);
    sy_buf_printf(&server->server_first, ",i=%u", server->secret.iterations);
    if (server->client_first_bare.failed || server->server_first.failed)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return SY_OK;
}

enum sy_status sy_scram_server_first(struct sy_scram_server *server, struct sy_slice message,
                                     bool plus, const char *server_nonce, struct sy_buf *out,
                                     struct sy_err *err)
{
    if (server->state != SY_SCRAM_START)
        return sy_err_set(err, SY_E_STATE, "SCRAM exchange out of order");
    server->state = SY_SCRAM_FAILED;
    enum sy_status status = server_first(server, message, plus, server_nonce, err);
    if (status != SY_OK)
        return status;
    sy_buf_append(out, server->server_first.data, server->server_first.bytes);
    server->state = SY_SCRAM_FIRST_DONE;
    return SY_OK;
}

/* Reads "c=...,r=...[,extensions],p=..."; *ret_bare is all before ",p=". */
static enum sy_status take_final(const struct sy_scram_server *server, struct sy_slice message,
                                 struct sy_slice *ret_bare, uint8_t ret_proof[SY_SCRAM_KEY_BYTES],
                                 struct sy_err *err)
{
    struct sy_slice rest = message, binding, nonce, value;
    if (!sy_scram_attribute(&rest, 'c', &binding) || !sy_scram_attribute(&rest, 'r', &nonce))
        return malformed(err, "Expected channel binding and nonce.");
    struct sy_buf expected = {.data = NULL};
    sy_scram_append_binding(&expected, server->gs2_flag, server->binding, server->binding_bytes);
    bool same = !expected.failed && binding.bytes + 2 == expected.bytes &&
                CRYPTO_memcmp(binding.data, expected.data + 2, binding.bytes) == 0;
    sy_buf_release(&expected);
    if (!same && server->gs2_flag == 'p')
        return sy_err_set(err, SY_E_AUTH_SPEC, "SCRAM channel binding check failed");
    if (!same)
        return malformed(err, "Unexpected channel-binding attribute.");
    if (nonce.bytes != strlen(server->nonce) ||
        CRYPTO_memcmp(nonce.data, server->nonce, nonce.bytes) != 0)
        return malformed(err, "The nonce does not match.");
    char attribute;
    const char *before;
    do {
        before = rest.data;
        if (!sy_scram_any_attribute(&rest, &attribute, &value))
            return malformed(err, "Expected a proof.");
    } while (attribute != 'p');
    uint32_t proof_bytes = 0;
    if (rest.bytes != 0 || !sy_base64_decode(value, ret_proof, SY_SCRAM_KEY_BYTES, &proof_bytes) ||
        proof_bytes != SY_SCRAM_KEY_BYTES)
        return malformed(err, "Malformed proof.");
    *ret_bare = (struct sy_slice){message.data, (size_t)(before - 1 - message.data)};
    return SY_OK;
}

/* Whether the proof shows that the client knows the key; leaves that key in server->client_key. */
static bool proof_holds(struct sy_scram_server *server, struct sy_slice bare,
                        const uint8_t proof[SY_SCRAM_KEY_BYTES])
{
    uint8_t signature[SY_SCRAM_KEY_BYTES], stored[SY_SCRAM_KEY_BYTES];
    if (!sy_scram_sign(server->secret.stored_key, &server->client_first_bare, &server->server_first,
                       bare, signature))
        return false;
    for (size_t i = 0; i < SY_SCRAM_KEY_BYTES; i++)
        server->client_key[i] = proof[i] ^ signature[i];
    bool holds = sy_scram_sha256(server->client_key, SY_SCRAM_KEY_BYTES, stored) &&
                 CRYPTO_memcmp(stored, server->secret.stored_key, sizeof(stored)) == 0;
    OPENSSL_cleanse(signature, sizeof(signature));
    return holds;
}

enum sy_status sy_scram_server_final(struct sy_scram_server *server, struct sy_slice message,
                                     struct sy_buf *out, struct sy_err *err)
{
    if (server->state != SY_SCRAM_FIRST_DONE)
        return sy_err_set(err, SY_E_STATE, "SCRAM exchange out of order");
    server->state = SY_SCRAM_FAILED;
    struct sy_slice bare;
    uint8_t proof[SY_SCRAM_KEY_BYTES], signature[SY_SCRAM_KEY_BYTES];
    enum sy_status status = take_final(server, message, &bare, proof, err);
    if (status != SY_OK)
        return status;
    /* The work is done for an unknown user too: it must not be told apart by its time. */
    bool holds = proof_holds(server, bare, proof);
    bool signed_ok = sy_scram_sign(server->secret.server_key, &server->client_first_bare,
                                   &server->server_first, bare, signature);
    if (!holds || server->mock || !signed_ok) {
        OPENSSL_cleanse(server->client_key, sizeof(server->client_key));
        return sy_err_set(err, SY_E_AUTH, "password authentication failed");
    }
    sy_buf_append_str(out, "v=");
    sy_base64_append(out, signature, sizeof(signature));
    server->state = SY_SCRAM_DONE;
    return SY_OK;
}
