/* Packets without a type byte. What is read can be written again to the same bytes; what is refused
 * writes nothing. */
#include <string.h>

#include "router/wire/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/recode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *packet = (const char *)data;
    struct sy_err err = {.status = SY_OK};
    uint32_t declared = 0;
    if (sy_startup_bytes(packet, bytes, &declared, &err) == SY_OK) {
        FUZZ_CHECK((declared == 0) == (bytes < 4));
        FUZZ_CHECK(declared == 0 || (declared >= 8 && declared <= SY_LIMIT_STARTUP_BYTES));
    } else {
        FUZZ_CHECK(err.status == SY_E_PROTOCOL && err.text[0] != '\0');
    }
    struct sy_buf out = {.data = NULL};
    struct sy_startup startup;
    if (recode_startup(packet, bytes, &out, &err) == SY_OK) {
        struct sy_slice names[SY_LIMIT_STARTUP_PARAMETERS];
        FUZZ_CHECK(declared == bytes && !out.failed);
        FUZZ_CHECK(out.bytes == bytes && memcmp(out.data, packet, bytes) == 0);
        FUZZ_CHECK(sy_startup_read(packet, bytes, &startup, &err) == SY_OK);
        FUZZ_CHECK(startup.kind != SY_STARTUP_SESSION || startup.user.bytes > 0);
        FUZZ_CHECK(sy_startup_options(&startup, names) <= startup.parameter_count);
    } else {
        FUZZ_CHECK(out.bytes == 0 && err.text[0] != '\0');
    }
    sy_buf_release(&out);
    return 0;
}
