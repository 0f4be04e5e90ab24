/* SCRAM, the side that logs in to servers. Pure. The server is not trusted: its nonce, salt and
 * count are limited. */
#include <openssl/crypto.h>
#include <string.h>

#include "base/base64.h"
#include "router/auth/scram_keys.h"

void sy_scram_client_init(struct sy_scram_client *client, bool plus, const uint8_t *binding,
                          uint32_t binding_bytes)
{
    memset(client, 0, sizeof(*client));
    client->plus = plus;
    client->binding_bytes = binding_bytes <= sizeof(client->binding)
                                ? binding_bytes
                                : (uint32_t)sizeof(client->binding);
    if (client->binding_bytes > 0)
        memcpy(client->binding, binding, client->binding_bytes);
}

void sy_scram_client_release(struct sy_scram_client *client)
{
    sy_buf_release(&client->first_bare);
    sy_buf_release(&client->server_first);
    OPENSSL_cleanse(client, sizeof(*client));
}

static enum sy_status out_of_order(struct sy_err *err)
{
    return sy_err_set(err, SY_E_STATE, "SCRAM exchange out of order");
}

static char flag_of(const struct sy_scram_client *client)
{
    if (client->plus)
        return 'p';
    return client->binding_bytes > 0 ? 'y' : 'n';
}

enum sy_status sy_scram_client_first(struct sy_scram_client *client, const char *nonce,
                                     struct sy_buf *out, struct sy_err *err)
{
    if (client->state != SY_SCRAM_START)
        return out_of_order(err);
    client->state = SY_SCRAM_FAILED;
    size_t bytes = strlen(nonce);
    if (!sy_scram_nonce_ok((struct sy_slice){nonce, bytes}) || bytes >= sizeof(client->nonce))
        return sy_err_set(err, SY_E_INTERNAL, "invalid SCRAM nonce");
    memcpy(client->nonce, nonce, bytes + 1);
    /* The name is empty: PostgreSQL takes the one of the startup packet. */
    sy_buf_printf(&client->first_bare, "n=,r=%s", client->nonce);
    if (client->first_bare.failed)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (client->plus)
        sy_buf_append_str(out, "p=tls-server-end-point,,");
    else
        sy_buf_printf(out, "%c,,", flag_of(client));
    sy_buf_append(out, client->first_bare.data, client->first_bare.bytes);
    client->state = SY_SCRAM_FIRST_DONE;
    return SY_OK;
}

static enum sy_status malformed(struct sy_err *err, const char *detail)
{
    enum sy_status status =
        sy_err_set(err, SY_E_PROTOCOL, "malformed SCRAM message from the server");
    sy_err_detail(err, "%s", detail);
    return status;
}

/* The server's nonce must continue ours, and say something of its own. */
static bool nonce_continues(const struct sy_scram_client *client, struct sy_slice nonce)
{
    size_t own = strlen(client->nonce);
    return sy_scram_nonce_ok(nonce) && nonce.bytes > own &&
           nonce.bytes < SY_SCRAM_NONCE_BYTES_MAX && memcmp(nonce.data, client->nonce, own) == 0;
}

static enum sy_status read_server_first(struct sy_scram_client *client, struct sy_slice message,
                                        struct sy_err *err)
{
    struct sy_slice rest = message, nonce, salt, iterations;
    if (rest.bytes > 0 && rest.data[0] == 'm')
        return sy_err_set(err, SY_E_UNSUPPORTED, "server requires an unsupported SCRAM extension");
    if (!sy_scram_attribute(&rest, 'r', &nonce) || !nonce_continues(client, nonce))
        return malformed(err, "The nonce does not continue ours, or is too long.");
    if (!sy_scram_attribute(&rest, 's', &salt) ||
        !sy_base64_decode(salt, client->salt, sizeof(client->salt), &client->salt_bytes) ||
        client->salt_bytes == 0)
        return malformed(err, "Invalid salt.");
    if (!sy_scram_attribute(&rest, 'i', &iterations) ||
        !sy_scram_number(iterations, &client->iterations))
        return malformed(err, "Invalid iteration count.");
    if (client->iterations < SY_SCRAM_ITERATIONS_MIN ||
        client->iterations > SY_SCRAM_ITERATIONS_MAX)
        return sy_err_set(err, SY_E_PROTOCOL,
                          "server demands %u SCRAM iterations, outside %d to %d",
                          client->iterations, SY_SCRAM_ITERATIONS_MIN, SY_SCRAM_ITERATIONS_MAX);
    while (rest.bytes > 0) {
        char attribute;
        struct sy_slice value;
        if (!sy_scram_any_attribute(&rest, &attribute, &value))
            return malformed(err, "Damaged extension.");
    }
    sy_buf_append_slice(&client->server_first, message);
    return client->server_first.failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory") : SY_OK;
}

enum sy_status sy_scram_client_server_first(struct sy_scram_client *client, struct sy_slice message,
                                            struct sy_err *err)
{
    if (client->state != SY_SCRAM_FIRST_DONE)
        return out_of_order(err);
    enum sy_status status = read_server_first(client, message, err);
    client->state = status == SY_OK ? SY_SCRAM_SALTED : SY_SCRAM_FAILED;
    return status;
}

void sy_scram_client_set_keys(struct sy_scram_client *client, const uint8_t client_key[32],
                              const uint8_t server_key[32])
{
    memcpy(client->client_key, client_key, SY_SCRAM_KEY_BYTES);
    memcpy(client->server_key, server_key, SY_SCRAM_KEY_BYTES);
    client->have_keys = sy_scram_sha256(client_key, SY_SCRAM_KEY_BYTES, client->stored_key);
}

/* Fills `final` with client-final-without-proof and computes the proof and the signature to expect.
 */
static bool prove(struct sy_scram_client *client, struct sy_buf *final,
                  uint8_t ret_proof[SY_SCRAM_KEY_BYTES])
{
    struct sy_slice rest = {client->server_first.data, client->server_first.bytes}, nonce;
    uint8_t signature[SY_SCRAM_KEY_BYTES];
    if (!sy_scram_attribute(&rest, 'r', &nonce))
        return false;
    sy_scram_append_binding(final, flag_of(client), client->binding, client->binding_bytes);
    sy_buf_append_str(final, ",r=");
    sy_buf_append_slice(final, nonce);
    struct sy_slice bare = {final->data, final->bytes};
    if (final->failed || !sy_scram_sign(client->stored_key, &client->first_bare,
                                        &client->server_first, bare, signature))
        return false;
    for (size_t i = 0; i < SY_SCRAM_KEY_BYTES; i++)
        ret_proof[i] = client->client_key[i] ^ signature[i];
    if (!sy_scram_sign(client->server_key, &client->first_bare, &client->server_first, bare,
                       signature))
        return false;
    struct sy_buf text = {.data = NULL};
    sy_base64_append(&text, signature, sizeof(signature));
    bool ok = !text.failed && text.bytes < sizeof(client->server_signature);
    if (ok) {
        memcpy(client->server_signature, text.data, text.bytes);
        client->server_signature[text.bytes] = '\0';
    }
    sy_buf_release(&text);
    return ok;
}

enum sy_status sy_scram_client_final(struct sy_scram_client *client, struct sy_buf *out,
                                     struct sy_err *err)
{
    if (client->state != SY_SCRAM_SALTED || !client->have_keys)
        return out_of_order(err);
    struct sy_buf final = {.data = NULL};
    uint8_t proof[SY_SCRAM_KEY_BYTES];
    enum sy_status status = SY_OK;
    if (prove(client, &final, proof)) {
        sy_buf_append(out, final.data, final.bytes);
        sy_buf_append_str(out, ",p=");
        sy_base64_append(out, proof, sizeof(proof));
    } else {
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    sy_buf_release(&final);
    client->state = status == SY_OK ? SY_SCRAM_PROVEN : SY_SCRAM_FAILED;
    return status;
}

enum sy_status sy_scram_client_verify(struct sy_scram_client *client, struct sy_slice message,
                                      struct sy_err *err)
{
    if (client->state != SY_SCRAM_PROVEN)
        return out_of_order(err);
    client->state = SY_SCRAM_FAILED;
    struct sy_slice rest = message, value;
    if (sy_scram_attribute(&rest, 'e', &value))
        return sy_err_set(err, SY_E_AUTH, "the server refused the SCRAM exchange");
    if (!sy_scram_attribute(&rest, 'v', &value))
        return malformed(err, "Expected a server signature.");
    if (value.bytes != strlen(client->server_signature) ||
        CRYPTO_memcmp(value.data, client->server_signature, value.bytes) != 0)
        return sy_err_set(err, SY_E_AUTH, "the server does not know this user's password");
    client->state = SY_SCRAM_DONE;
    return SY_OK;
}
