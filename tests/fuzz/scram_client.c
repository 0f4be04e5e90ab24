/*
 * The first byte has flags, then server-first and server-final follow, apart by a newline. No
 * server is believed that does not sign with the key, and none may demand more than the limits.
 */
#include <string.h>

#include "router/auth/scram.h"
#include "tests/fuzz/fuzz.h"

enum { FLAG_PLUS = 1, FLAG_BINDING = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint8_t key[32] = {1, 2, 3}, binding[32] = {4, 5, 6};
    if (bytes == 0)
        return 0;
    const char *text = (const char *)data + 1;
    const char *newline = bytes == 1 ? NULL : memchr(text, '\n', bytes - 1);
    struct sy_slice first = {text, newline == NULL ? bytes - 1 : (size_t)(newline - text)};
    struct sy_slice final = {newline == NULL ? text : newline + 1,
                             newline == NULL ? 0 : bytes - 2 - first.bytes};
    struct sy_scram_client client;
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    bool plus = (data[0] & FLAG_PLUS) != 0, bound = plus || (data[0] & FLAG_BINDING) != 0;
    sy_scram_client_init(&client, plus, binding, bound ? 32 : 0);
    FUZZ_CHECK(sy_scram_client_first(&client, "rOprNGfwEbeRWgbNEkqO", &out, &err) == SY_OK);
    sy_buf_clear(&out);
    enum sy_status status = sy_scram_client_server_first(&client, first, &err);
    if (status == SY_OK) {
        FUZZ_CHECK(client.iterations >= SY_SCRAM_ITERATIONS_MIN &&
                   client.iterations <= SY_SCRAM_ITERATIONS_MAX);
        FUZZ_CHECK(client.salt_bytes > 0 && client.salt_bytes <= SY_SCRAM_SALT_BYTES_MAX);
    }
    sy_scram_client_set_keys(&client, key, key);
    FUZZ_CHECK((sy_scram_client_final(&client, &out, &err) == SY_OK) == (status == SY_OK));
    if (sy_scram_client_verify(&client, final, &err) == SY_OK) {
        size_t signature = strlen(client.server_signature);
        FUZZ_CHECK(status == SY_OK && final.bytes >= signature + 2);
        FUZZ_CHECK(memcmp(final.data, "v=", 2) == 0);
        FUZZ_CHECK(memcmp(final.data + 2, client.server_signature, signature) == 0);
    }
    FUZZ_CHECK(sy_scram_client_verify(&client, final, &err) == SY_E_STATE);
    sy_scram_client_release(&client);
    sy_buf_release(&out);
    return 0;
}
