/*
 * Byte 0: the format and options; byte 1: how many cuts follow, each a byte; the rest is the data
 * of COPY. Split in pieces it gives what it gives whole; rows are whole, in order, and together
 * never more than the data.
 */
#include <string.h>

#include "router/plan/copy_split.h"
#include "tests/fuzz/fuzz.h"

struct summary {
    uint64_t rows, hash, bytes;
    enum sy_status status;
};

static enum sy_status take(void *ctx, uint32_t shard, const char *data, size_t bytes,
                           struct sy_err *err)
{
    (void)err;
    struct summary *summary = ctx;
    FUZZ_CHECK(bytes > 0 && (shard == UINT32_MAX || shard < 3));
    summary->rows++;
    summary->bytes += bytes;
    summary->hash = (summary->hash ^ shard) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < bytes; i++)
        summary->hash = (summary->hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return SY_OK;
}

static enum sy_status feed_copy(struct sy_copy_split *split, const uint8_t *data, size_t bytes,
                                struct summary *summary)
{
    char *piece = malloc(bytes == 0 ? 1 : bytes);
    FUZZ_CHECK(piece != NULL);
    if (bytes > 0)
        memcpy(piece, data, bytes);
    enum sy_status status = sy_copy_split_feed(split, piece, bytes, take, summary, NULL);
    free(piece);
    return status;
}

static struct summary run(const struct sy_copy_split_options *options, const uint8_t *data,
                          size_t bytes, const uint8_t *cuts, size_t cut_count)
{
    struct summary summary = {.hash = 1};
    struct sy_copy_split *split = NULL;
    FUZZ_CHECK(sy_copy_split_new(options, &split, NULL) == SY_OK);
    size_t at = 0;
    for (size_t i = 0; i < cut_count && summary.status == SY_OK; i++) {
        size_t piece = cuts[i] < bytes - at ? cuts[i] : bytes - at;
        summary.status = feed_copy(split, data + at, piece, &summary);
        at += piece;
    }
    if (summary.status == SY_OK)
        summary.status = feed_copy(split, data + at, bytes - at, &summary);
    if (summary.status == SY_OK)
        summary.status = sy_copy_split_end(split, take, &summary, NULL);
    sy_copy_split_free(&split);
    FUZZ_CHECK(summary.bytes <= bytes);
    return summary;
}

static const struct sy_shardmap *make_map(void)
{
    static struct sy_arena arena;
    static const struct sy_shardmap *map;
    struct sy_config_shard shards[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    struct sy_config_keyspace_table tables[] = {{"public", "t", "k", NULL, NULL, 0, {0}}};
    struct sy_config_keyspace spaces[] = {
        {.name = "n",
         .strategy = SY_STRATEGY_HASH,
         .type = SY_KEY_INT8,
         .tables = tables,
         .table_count = 1},
        {.name = "s", .strategy = SY_STRATEGY_HASH, .type = SY_KEY_TEXT}};
    struct sy_config_database database = {
        .name = "d", .shards = shards, .shard_count = 3, .keyspaces = spaces, .keyspace_count = 2};
    if (map == NULL)
        FUZZ_CHECK(sy_shardmap_build(&database, &arena, &map, NULL) == SY_OK);
    return map;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2 || bytes - 2 < data[1])
        return 0;
    struct sy_copy_facts copy = {.format = (enum sy_copy_format)((data[0] & 3) % 3),
                                 .header = (data[0] & 4) != 0};
    if (data[0] & 8)
        copy.escape = '\\';
    if (data[0] & 16)
        copy.delimiter = '|';
    struct sy_copy_split_options options = {.copy = &copy,
                                            .map = make_map(),
                                            .keyspace = data[0] >> 7,
                                            .key_ordinal = (data[0] >> 5) & 1,
                                            .hash_key_ordinal = -1,
                                            .column_count = 2,
                                            .table = SY_SLICE("t"),
                                            .key = SY_SLICE("k"),
                                            .key_context = {.time_zone = SY_SLICE("UTC")}};
    const uint8_t *rest = data + 2 + data[1];
    size_t rest_bytes = bytes - 2 - data[1];
    struct summary whole = run(&options, rest, rest_bytes, NULL, 0);
    struct summary cut = run(&options, rest, rest_bytes, data + 2, data[1]);
    FUZZ_CHECK(whole.status == cut.status && whole.rows == cut.rows && whole.hash == cut.hash);
    return 0;
}
