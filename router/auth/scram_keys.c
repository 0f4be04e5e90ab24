/* Keys, signatures, stored secrets and the grammar of SCRAM's messages. Pure but for PBKDF2, which
 * takes its time. */
#include "router/auth/scram_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/base64.h"
#include "router/auth/saslprep.h"

static const struct sy_slice scheme = {"SCRAM-SHA-256$", 14};

static bool hmac(const uint8_t key[SY_SCRAM_KEY_BYTES], const void *data, size_t bytes,
                 uint8_t ret_mac[SY_SCRAM_KEY_BYTES])
{
    unsigned mac_bytes = SY_SCRAM_KEY_BYTES;
    return HMAC(EVP_sha256(), key, SY_SCRAM_KEY_BYTES, data, bytes, ret_mac, &mac_bytes) != NULL;
}

bool sy_scram_sha256(const void *data, size_t bytes, uint8_t ret_hash[SY_SCRAM_KEY_BYTES])
{
    return EVP_Digest(data, bytes, ret_hash, NULL, EVP_sha256(), NULL) == 1;
}

bool sy_scram_sign(const uint8_t key[SY_SCRAM_KEY_BYTES], const struct sy_buf *first_bare,
                   const struct sy_buf *server_first, struct sy_slice final_bare,
                   uint8_t ret_signature[SY_SCRAM_KEY_BYTES])
{
    struct sy_buf text = {.data = NULL};
    sy_buf_append(&text, first_bare->data, first_bare->bytes);
    sy_buf_append_u8(&text, ',');
    sy_buf_append(&text, server_first->data, server_first->bytes);
    sy_buf_append_u8(&text, ',');
    sy_buf_append_slice(&text, final_bare);
    bool ok = !text.failed && hmac(key, text.data, text.bytes, ret_signature);
    sy_buf_release(&text);
    return ok;
}

void sy_scram_append_binding(struct sy_buf *out, char flag, const uint8_t *binding, uint32_t bytes)
{
    static const char bound[] = "p=tls-server-end-point,,";
    uint8_t data[sizeof(bound) - 1 + 64];
    size_t data_bytes = 0;
    if (flag == 'p') {
        memcpy(data, bound, sizeof(bound) - 1);
        memcpy(data + sizeof(bound) - 1, binding, bytes);
        data_bytes = sizeof(bound) - 1 + bytes;
    } else {
        data[data_bytes++] = (uint8_t)flag;
        data[data_bytes++] = ',';
        data[data_bytes++] = ',';
    }
    sy_buf_append_str(out, "c=");
    sy_base64_append(out, data, data_bytes);
}

bool sy_scram_any_attribute(struct sy_slice *rest, char *ret_attribute, struct sy_slice *ret_value)
{
    if (rest->bytes < 2 || rest->data[1] != '=')
        return false;
    char attribute = rest->data[0];
    if (!((attribute >= 'a' && attribute <= 'z') || (attribute >= 'A' && attribute <= 'Z')))
        return false;
    struct sy_slice value = {rest->data + 2, rest->bytes - 2};
    const char *comma = value.bytes == 0 ? NULL : memchr(value.data, ',', value.bytes);
    if (comma != NULL) {
        size_t used = (size_t)(comma - value.data);
        *rest = (struct sy_slice){comma + 1, value.bytes - used - 1};
        value.bytes = used;
        /* A comma announces one more attribute. */
        if (rest->bytes == 0)
            return false;
    } else {
        *rest = (struct sy_slice){value.data + value.bytes, 0};
    }
    if (value.bytes > 0 && memchr(value.data, 0, value.bytes) != NULL)
        return false;
    *ret_attribute = attribute;
    *ret_value = value;
    return true;
}

bool sy_scram_attribute(struct sy_slice *rest, char attribute, struct sy_slice *ret_value)
{
    char found;
    struct sy_slice after = *rest, value;
    if (!sy_scram_any_attribute(&after, &found, &value) || found != attribute)
        return false;
    *rest = after;
    *ret_value = value;
    return true;
}

bool sy_scram_nonce_ok(struct sy_slice nonce)
{
    for (size_t i = 0; i < nonce.bytes; i++)
        if (nonce.data[i] < 0x21 || nonce.data[i] > 0x7e || nonce.data[i] == ',')
            return false;
    return nonce.bytes > 0;
}

bool sy_scram_number(struct sy_slice text, uint32_t *ret_number)
{
    uint32_t number = 0;
    if (text.bytes == 0 || text.bytes > 10 || text.data[0] == '0')
        return false;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9')
            return false;
        uint32_t digit = (uint32_t)(c - '0');
        if (number > ((uint32_t)INT32_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

enum sy_status sy_scram_derive_keys(struct sy_slice password, const uint8_t *salt,
                                    uint32_t salt_bytes, uint32_t iterations,
                                    uint8_t ret_client_key[32], uint8_t ret_server_key[32],
                                    struct sy_err *err)
{
    if (iterations == 0 || iterations > INT32_MAX || salt_bytes > SY_SCRAM_SALT_BYTES_MAX)
        return sy_err_set(err, SY_E_VALUE, "invalid SCRAM salt or iteration count");
    struct sy_buf prepared = {.data = NULL};
    uint8_t salted[SY_SCRAM_KEY_BYTES], client_key[SY_SCRAM_KEY_BYTES],
        server_key[SY_SCRAM_KEY_BYTES];
    enum sy_status status = sy_saslprep(password, &prepared, err);
    if (status == SY_OK) {
        bool ok = PKCS5_PBKDF2_HMAC(prepared.data == NULL ? "" : prepared.data, (int)prepared.bytes,
                                    salt, (int)salt_bytes, (int)iterations, EVP_sha256(),
                                    sizeof(salted), salted) == 1 &&
                  hmac(salted, "Client Key", 10, client_key) &&
                  hmac(salted, "Server Key", 10, server_key);
        if (!ok)
            status = sy_err_set(err, SY_E_NO_MEMORY, "could not derive SCRAM keys");
    }
    if (status == SY_OK) {
        memcpy(ret_client_key, client_key, sizeof(client_key));
        memcpy(ret_server_key, server_key, sizeof(server_key));
    }
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(client_key, sizeof(client_key));
    OPENSSL_cleanse(server_key, sizeof(server_key));
    if (prepared.data != NULL)
        OPENSSL_cleanse(prepared.data, prepared.capacity);
    sy_buf_release(&prepared);
    return status;
}

void sy_scram_secret_from_keys(const uint8_t *salt, uint32_t salt_bytes, uint32_t iterations,
                               const uint8_t client_key[32], const uint8_t server_key[32],
                               struct sy_scram_secret *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->iterations = iterations;
    memcpy(ret->salt, salt, salt_bytes);
    ret->salt_bytes = salt_bytes;
    memcpy(ret->server_key, server_key, SY_SCRAM_KEY_BYTES);
    /* Without memory the stored key stays zero, the hash of nothing known: nobody gets in. */
    if (!sy_scram_sha256(client_key, SY_SCRAM_KEY_BYTES, ret->stored_key))
        memset(ret->stored_key, 0, sizeof(ret->stored_key));
}

enum sy_status sy_scram_secret_derive(struct sy_slice password, const uint8_t *salt,
                                      uint32_t salt_bytes, uint32_t iterations,
                                      struct sy_scram_secret *ret, struct sy_err *err)
{
    uint8_t client_key[SY_SCRAM_KEY_BYTES], server_key[SY_SCRAM_KEY_BYTES];
    enum sy_status status =
        sy_scram_derive_keys(password, salt, salt_bytes, iterations, client_key, server_key, err);
    if (status == SY_OK)
        sy_scram_secret_from_keys(salt, salt_bytes, iterations, client_key, server_key, ret);
    OPENSSL_cleanse(client_key, sizeof(client_key));
    OPENSSL_cleanse(server_key, sizeof(server_key));
    return status;
}

bool sy_scram_secret_matches(const struct sy_scram_secret *secret, const uint8_t client_key[32],
                             const uint8_t server_key[32])
{
    uint8_t stored[SY_SCRAM_KEY_BYTES];
    if (!sy_scram_sha256(client_key, SY_SCRAM_KEY_BYTES, stored))
        return false;
    int differs = CRYPTO_memcmp(stored, secret->stored_key, sizeof(stored)) |
                  CRYPTO_memcmp(server_key, secret->server_key, SY_SCRAM_KEY_BYTES);
    return differs == 0;
}

static void scram_user_salt(struct sy_slice user, const uint8_t mock_nonce[32],
                            uint8_t ret_salt[SY_SCRAM_USER_SALT_BYTES])
{
    struct sy_buf text = {.data = NULL};
    uint8_t hash[SY_SCRAM_KEY_BYTES] = {0};
    sy_buf_append_slice(&text, user);
    sy_buf_append(&text, mock_nonce, 32);
    if (text.failed || !sy_scram_sha256(text.data, text.bytes, hash))
        memcpy(hash, mock_nonce, sizeof(hash));
    memcpy(ret_salt, hash, SY_SCRAM_USER_SALT_BYTES);
    sy_buf_release(&text);
}

void sy_scram_secret_mock(struct sy_slice user, const uint8_t mock_nonce[32],
                          struct sy_scram_secret *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->iterations = SY_SCRAM_ITERATIONS_MIN;
    ret->salt_bytes = SY_SCRAM_USER_SALT_BYTES;
    scram_user_salt(user, mock_nonce, ret->salt);
}

/* Cuts *rest at `mark`. */
static bool cut(struct sy_slice *rest, char mark, struct sy_slice *ret_piece)
{
    const char *at = rest->bytes == 0 ? NULL : memchr(rest->data, mark, rest->bytes);
    if (at == NULL)
        return false;
    *ret_piece = (struct sy_slice){rest->data, (size_t)(at - rest->data)};
    *rest = (struct sy_slice){at + 1, rest->bytes - ret_piece->bytes - 1};
    return true;
}

enum sy_status sy_scram_secret_parse(struct sy_slice text, struct sy_scram_secret *ret,
                                     struct sy_err *err)
{
    struct sy_scram_secret secret = {.iterations = 0};
    struct sy_slice iterations, salt, stored;
    uint32_t stored_bytes = 0, server_bytes = 0;
    bool ok = text.bytes > scheme.bytes && memcmp(text.data, scheme.data, scheme.bytes) == 0;
    if (ok) {
        struct sy_slice rest = {text.data + scheme.bytes, text.bytes - scheme.bytes};
        ok = cut(&rest, ':', &iterations) && cut(&rest, '$', &salt) && cut(&rest, ':', &stored) &&
             sy_scram_number(iterations, &secret.iterations) &&
             sy_base64_decode(salt, secret.salt, sizeof(secret.salt), &secret.salt_bytes) &&
             sy_base64_decode(stored, secret.stored_key, SY_SCRAM_KEY_BYTES, &stored_bytes) &&
             sy_base64_decode(rest, secret.server_key, SY_SCRAM_KEY_BYTES, &server_bytes);
    }
    if (!ok || secret.salt_bytes == 0 || stored_bytes != SY_SCRAM_KEY_BYTES ||
        server_bytes != SY_SCRAM_KEY_BYTES)
        return sy_err_set(err, SY_E_VALUE, "not a SCRAM-SHA-256 secret");
    if (secret.iterations < SY_SCRAM_ITERATIONS_MIN)
        return sy_err_set(err, SY_E_VALUE, "SCRAM secret has fewer than %d iterations",
                          SY_SCRAM_ITERATIONS_MIN);
    *ret = secret;
    return SY_OK;
}

void sy_scram_secret_write(const struct sy_scram_secret *secret, struct sy_buf *out)
{
    sy_buf_append_slice(out, scheme);
    sy_buf_printf(out, "%u:", secret->iterations);
    sy_base64_append(out, secret->salt, secret->salt_bytes);
    sy_buf_append_u8(out, '$');
    sy_base64_append(out, secret->stored_key, SY_SCRAM_KEY_BYTES);
    sy_buf_append_u8(out, ':');
    sy_base64_append(out, secret->server_key, SY_SCRAM_KEY_BYTES);
}

uint32_t sy_tls_server_end_point(struct x509_st *certificate, uint8_t ret_hash[64])
{
    int digest = NID_undef;
    if (certificate == NULL || X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) != 1)
        return 0;
    /* RFC 5929: a certificate signed with a broken hash is identified by SHA-256. */
    if (digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    const EVP_MD *method = EVP_get_digestbynid(digest);
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (method == NULL || X509_digest(certificate, method, hash, &bytes) != 1 || bytes > 64)
        return 0;
    memcpy(ret_hash, hash, bytes);
    return bytes;
}
