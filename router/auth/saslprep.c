/* SASLprep by ICU's profile of it. Every copy of the password made here is wiped. Any thread. */
#include "router/auth/saslprep.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

enum { PASSWORD_BYTES_MAX = 64 * 1024 };

static bool is_ascii(struct sy_slice text)
{
    for (size_t i = 0; i < text.bytes; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
    return true;
}

static void wipe_free(void *memory, size_t bytes)
{
    if (memory != NULL)
        OPENSSL_cleanse(memory, bytes);
    free(memory);
}

/* Text to UTF-16. NULL with *failure unset: memory; set: not UTF-8. */
static UChar *widen(struct sy_slice text, int32_t *ret_units, UErrorCode *failure)
{
    size_t bytes = (text.bytes + 1) * sizeof(UChar);
    UChar *wide = malloc(bytes);
    if (wide == NULL)
        return NULL;
    u_strFromUTF8(wide, (int32_t)text.bytes + 1, ret_units, text.data, (int32_t)text.bytes,
                  failure);
    if (U_FAILURE(*failure)) {
        wipe_free(wide, bytes);
        return NULL;
    }
    return wide;
}

/* NFKC can make one unit 18 long; SASLprep maps to nothing more than that. */
enum { GROWTH_MAX = 18, UTF8_BYTES_PER_UNIT = 3 };

static enum sy_status prepare(const UStringPrepProfile *profile, struct sy_slice password,
                              struct sy_buf *out, struct sy_err *err)
{
    UErrorCode failure = U_ZERO_ERROR;
    int32_t units = 0, prepared_units = 0, bytes = 0;
    UChar *wide = widen(password, &units, &failure);
    if (wide == NULL && U_SUCCESS(failure))
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (wide == NULL) {
        sy_buf_append_slice(out, password);
        return SY_OK;
    }
    enum sy_status status = SY_OK;
    int32_t capacity = units * GROWTH_MAX + 1;
    UChar *prepared = malloc((size_t)capacity * sizeof(UChar));
    char *place = sy_buf_reserve(out, (size_t)capacity * UTF8_BYTES_PER_UNIT);
    if (prepared == NULL || place == NULL) {
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        goto done;
    }
    prepared_units =
        usprep_prepare(profile, wide, units, prepared, capacity, USPREP_DEFAULT, NULL, &failure);
    if (U_SUCCESS(failure) && prepared_units > 0)
        u_strToUTF8(place, capacity * UTF8_BYTES_PER_UNIT, &bytes, prepared, prepared_units,
                    &failure);
    if (U_SUCCESS(failure) && bytes > 0)
        out->bytes += (size_t)bytes;
    else
        sy_buf_append_slice(out, password);
done:
    wipe_free(prepared, (size_t)capacity * sizeof(UChar));
    wipe_free(wide, (password.bytes + 1) * sizeof(UChar));
    return status;
}

enum sy_status sy_saslprep(struct sy_slice password, struct sy_buf *out, struct sy_err *err)
{
    if (password.bytes > PASSWORD_BYTES_MAX)
        return sy_err_set(err, SY_E_LIMIT, "password is longer than %d bytes", PASSWORD_BYTES_MAX);
    if (is_ascii(password)) {
        sy_buf_append_slice(out, password);
        return out->failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory") : SY_OK;
    }
    UErrorCode failure = U_ZERO_ERROR;
    UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &failure);
    if (U_FAILURE(failure))
        return sy_err_set(err, SY_E_INTERNAL, "ICU has no SASLprep profile: %s",
                          u_errorName(failure));
    enum sy_status status = prepare(profile, password, out, err);
    usprep_close(profile);
    return status;
}
