/* Encoding names. */
#include "base/encoding.h"

#include <string.h>

bool sy_encoding_same(struct sy_slice a, struct sy_slice b)
{
    char folded[2][32];
    const struct sy_slice names[2] = {a, b};
    for (int n = 0; n < 2; n++) {
        size_t out = 0;
        for (size_t i = 0; i < names[n].bytes && out < sizeof(folded[n]) - 1; i++) {
            char c = names[n].data[i];
            if (c >= 'A' && c <= 'Z')
                c = (char)(c - 'A' + 'a');
            if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
                folded[n][out++] = c;
        }
        folded[n][out] = 0;
        if (strcmp(folded[n], "unicode") == 0)
            memcpy(folded[n], "utf8", sizeof("utf8"));
    }
    return strcmp(folded[0], folded[1]) == 0;
}
