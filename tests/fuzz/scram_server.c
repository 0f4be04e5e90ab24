/*
 * The first byte has flags, then client-first and client-final follow, apart by a newline. Nobody
 * gets in without the key, an unknown user never, and a refused message writes nothing.
 */
#include <string.h>

#include "router/auth/scram.h"
#include "tests/fuzz/fuzz.h"

enum { FLAG_PLUS = 1, FLAG_OFFERED = 2, FLAG_MOCK = 4 };

/* "pencil", the example of RFC 7677. */
static const char secret_text[] =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    const char *text = (const char *)data + 1;
    const char *newline = bytes == 1 ? NULL : memchr(text, '\n', bytes - 1);
    struct sy_slice first = {text, newline == NULL ? bytes - 1 : (size_t)(newline - text)};
    struct sy_slice final = {newline == NULL ? text : newline + 1,
                             newline == NULL ? 0 : bytes - 2 - first.bytes};
    struct sy_scram_secret secret;
    struct sy_scram_server server;
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    FUZZ_CHECK(sy_scram_secret_parse(SY_SLICE(secret_text), &secret, &err) == SY_OK);
    sy_scram_server_init(&server, &secret, (data[0] & FLAG_MOCK) != 0);
    server.tls = (data[0] & FLAG_OFFERED) != 0;
    server.binding_bytes = server.tls ? 32 : 0;
    enum sy_status status = sy_scram_server_first(&server, first, (data[0] & FLAG_PLUS) != 0,
                                                  "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", &out, &err);
    FUZZ_CHECK((status == SY_OK) == (out.bytes > 0));
    sy_buf_clear(&out);
    enum sy_status after = sy_scram_server_final(&server, final, &out, &err);
    FUZZ_CHECK((after == SY_OK) == (out.bytes > 0));
    if (status != SY_OK)
        FUZZ_CHECK(after == SY_E_STATE);
    if (after == SY_OK) {
        FUZZ_CHECK(!server.mock);
        FUZZ_CHECK(sy_scram_secret_matches(&secret, server.client_key, secret.server_key));
    }
    FUZZ_CHECK(sy_scram_server_final(&server, final, &out, &err) == SY_E_STATE);
    sy_scram_server_release(&server);
    sy_buf_release(&out);

    if (sy_scram_secret_parse((struct sy_slice){(const char *)data, bytes}, &secret, &err) ==
        SY_OK) {
        sy_scram_secret_write(&secret, &out);
        sy_buf_release(&out);
    }
    return 0;
}
