/*
 * Byte 0: the key's type; byte 1: the session's zone; the rest is the key's text, and its binary
 * form. Whatever is read has a bucket, integers survive being printed and read again, and nothing
 * reads past the end.
 */
#include <inttypes.h>
#include <string.h>

#include "router/plan/key.h"
#include "tests/fuzz/fuzz.h"

static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "+02", "<-03>+03",
                                    "",    "nonsense",      "Asia/Kolkata"};

static void check(const struct sy_key *key)
{
    FUZZ_CHECK(sy_key_bucket(key) < SY_LIMIT_BUCKETS);
    FUZZ_CHECK(sy_key_compare(key, key) == 0);
    if (!sy_key_is_integer(key->type))
        return;
    char text[32];
    struct sy_key again;
    snprintf(text, sizeof(text), "%" PRId64, key->integer);
    FUZZ_CHECK(sy_key_from_text(SY_KEY_INT8, sy_slice_of(text), NULL, &again, NULL) == SY_OK);
    FUZZ_CHECK(again.integer == key->integer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2)
        return 0;
    enum sy_key_type type = (enum sy_key_type)(data[0] % (SY_KEY_TIMESTAMPTZ + 1));
    struct sy_key_context context = {.time_zone = sy_slice_of(zones[data[1] % 8]),
                                     .server_encoding_differs = (data[1] & 8) != 0};
    size_t text_bytes = bytes - 2;
    char *text = malloc(text_bytes == 0 ? 1 : text_bytes);
    FUZZ_CHECK(text != NULL);
    if (text_bytes > 0)
        memcpy(text, data + 2, text_bytes);
    struct sy_key key;
    struct sy_err err = {0};
    struct sy_slice slice = {text, text_bytes};
    if (sy_key_from_text(type, slice, &context, &key, &err) == SY_OK)
        check(&key);
    else
        FUZZ_CHECK(err.text[0] != '\0');
    if (sy_key_from_binary(type, 0, slice, &key, &err) == SY_OK)
        check(&key);
    free(text);
    return 0;
}
