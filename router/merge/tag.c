/* Command tags of several shards. Pure. */
#include "router/merge/tag.h"

#include <inttypes.h>
#include <stdio.h>

#include "router/wire/message.h"

/* The bytes of the tag in front of " <count>". */
static size_t word_bytes(struct sy_slice tag)
{
    size_t at = tag.bytes;
    while (at > 0 && tag.data[at - 1] >= '0' && tag.data[at - 1] <= '9')
        at--;
    return at > 0 && at < tag.bytes && tag.data[at - 1] == ' ' ? at - 1 : tag.bytes;
}

bool sy_tag_sum_add(struct sy_tag_sum *sum, struct sy_slice tag)
{
    uint64_t rows = 0;
    bool counted = sy_tag_rows(tag, &rows);
    size_t bytes = counted ? word_bytes(tag) : tag.bytes;
    if (bytes >= SY_TAG_BYTES_MAX)
        return false;
    if (sum->parts == 0) {
        memcpy(sum->word, tag.data, bytes);
        sum->word[bytes] = 0;
        sum->counted = counted;
    } else if (!sy_slice_eq(sy_slice_of(sum->word), (struct sy_slice){tag.data, bytes})) {
        return false;
    }
    sum->rows += rows;
    sum->parts++;
    return true;
}

void sy_tag_sum_write(const struct sy_tag_sum *sum, uint64_t rows,
                      char ret_tag[SY_TAG_BYTES_MAX + 24])
{
    if (sum->counted)
        snprintf(ret_tag, SY_TAG_BYTES_MAX + 24, "%s %" PRIu64, sum->word, rows);
    else
        snprintf(ret_tag, SY_TAG_BYTES_MAX + 24, "%s", sum->word);
}
