/* PostgreSQL's older password scheme. Pure. Kept for clients and servers that know no better. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "router/auth/scram.h"

enum { DIGEST_BYTES = 16, HEX_BYTES = 32, PREFIX_BYTES = 3 };

/* "md5" + hex(md5(first + second)), or an empty string. */
static void hash_pair(struct sy_slice first, const void *second, size_t second_bytes,
                      char ret_text[36])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[DIGEST_BYTES];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(context, first.data, first.bytes) == 1 &&
              EVP_DigestUpdate(context, second, second_bytes) == 1 &&
              EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    ret_text[0] = '\0';
    if (!ok)
        return;
    memcpy(ret_text, "md5", PREFIX_BYTES);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_text[PREFIX_BYTES + 2 * i] = hex[digest[i] >> 4];
        ret_text[PREFIX_BYTES + 2 * i + 1] = hex[digest[i] & 15];
    }
    ret_text[PREFIX_BYTES + HEX_BYTES] = '\0';
    OPENSSL_cleanse(digest, sizeof(digest));
}

bool sy_md5_is_secret(struct sy_slice text)
{
    if (text.bytes != PREFIX_BYTES + HEX_BYTES || memcmp(text.data, "md5", PREFIX_BYTES) != 0)
        return false;
    for (size_t i = PREFIX_BYTES; i < text.bytes; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

void sy_md5_secret(struct sy_slice user, struct sy_slice password, char ret_text[36])
{
    hash_pair(password, user.data, user.bytes, ret_text);
}

void sy_md5_response(struct sy_slice user, struct sy_slice stored, const uint8_t salt[4],
                     char ret_text[36])
{
    char secret[36];
    if (sy_md5_is_secret(stored)) {
        memcpy(secret, stored.data, stored.bytes);
        secret[stored.bytes] = '\0';
    } else {
        sy_md5_secret(user, stored, secret);
    }
    if (secret[0] == '\0')
        ret_text[0] = '\0';
    else
        hash_pair((struct sy_slice){secret + PREFIX_BYTES, HEX_BYTES}, salt, 4, ret_text);
    OPENSSL_cleanse(secret, sizeof(secret));
}
