/* The first byte is a type, the rest a body. A message that is accepted is written again to the
 * same bytes. */
#include <string.h>

#include "router/wire/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/wire/recode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    char type = (char)data[0];
    const char *body = (const char *)data + 1;
    struct sy_buf out = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    enum sy_status status = recode_frontend(type, body, bytes - 1, &out, &err);
    if (status == SY_OK) {
        FUZZ_CHECK(!out.failed && out.bytes == bytes + 4);
        FUZZ_CHECK(out.data[0] == type && sy_u32_at(out.data + 1, 0) == bytes + 3);
        FUZZ_CHECK(bytes == 1 || memcmp(out.data + 5, body, bytes - 1) == 0);
    } else {
        FUZZ_CHECK(status == SY_E_PROTOCOL || status == SY_E_UNSUPPORTED ||
                   status == SY_E_NO_MEMORY);
        FUZZ_CHECK(out.bytes == 0 && err.text[0] != '\0');
    }
    sy_buf_release(&out);
    return 0;
}
