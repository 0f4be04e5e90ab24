/* COPY rows to shards, for every place at which the data may be cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/plan/copy_split.h"
#include "tests/unit/router/plan/world.h"

/* Ranges of `measures`: below 0 on s0, below 100 on s1, the rest on s2. List of `orders`: open,
 * paid on s1; closed on s2. */
enum space { MEASURES = 4, ORDERS = 7, CITIZENS = 6 };

struct row {
    const char *label;
    enum space space;
    uint32_t key, columns;
    struct sy_copy_facts copy;
    const char *input;
    size_t bytes; /* 0: strlen */
    const char
        *expected; /* "[shard:row]..." with * for every shard, or "error SQLSTATE" at the end */
};

#define CSV_FORMAT                                                                                 \
    {                                                                                              \
        .format = SY_COPY_CSV                                                                      \
    }
#define CSV .copy = CSV_FORMAT
#define BINARY .copy = {.format = SY_COPY_BINARY}
#define SIGNATURE "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"

static const struct row rows[] = {
    {"lines go to the shards of their keys",
     MEASURES,
     0,
     2,
     {0},
     "-1\ta\n5\tb\n100\tc\n",
     0,
     "[0:-1\ta\n][1:5\tb\n][2:100\tc\n]"},
    {"the key may be any field",
     MEASURES,
     1,
     3,
     {0},
     "x\t5\ty\nx\t-5\ty\n",
     0,
     "[1:x\t5\ty\n][0:x\t-5\ty\n]"},
    {"a last line needs no end", MEASURES, 0, 1, {0}, "1\n200", 0, "[1:1\n][2:200]"},
    {"line ends may be CRLF",
     MEASURES,
     0,
     2,
     {0},
     "1\ta\r\n200\tb\r\n",
     0,
     "[1:1\ta\r\n][2:200\tb\r\n]"},
    {"line ends may be CR", MEASURES, 0, 2, {0}, "1\ta\r200\tb\r", 0, "[1:1\ta\r][2:200\tb\r]"},
    {"an escaped line end is data",
     MEASURES,
     1,
     2,
     {0},
     "a\\\nb\t5\nc\\\\\t-5\n",
     0,
     "[1:a\\\nb\t5\n][0:c\\\\\t-5\n]"},
    {"an escaped delimiter is data", MEASURES, 1, 2, {0}, "a\\\tb\t5\n", 0, "[1:a\\\tb\t5\n]"},
    {"keys may be written with escapes",
     ORDERS,
     0,
     1,
     {0},
     "o\\x70en\nclos\\145d\npai\\d\n",
     0,
     "[1:o\\x70en\n][2:clos\\145d\n][1:pai\\d\n]"},
    {"the end marker ends the data", MEASURES, 0, 1, {0}, "1\n\\.\nrubbish\n", 0, "[1:1\n]"},
    {"the end marker needs no line end", MEASURES, 0, 1, {0}, "1\n\\.", 0, "[1:1\n]"},
    {"a marker with more behind it is corrupt",
     MEASURES,
     0,
     1,
     {0},
     "1\n\\.x\n",
     0,
     "[1:1\n]error 22P04"},
    {"a header goes everywhere",
     MEASURES,
     0,
     2,
     {.header = true},
     "n\tv\n1\t2\n",
     0,
     "[*:n\tv\n][1:1\t2\n]"},
    {"another delimiter", MEASURES, 1, 2, {.delimiter = '|'}, "a\t|5\n", 0, "[1:a\t|5\n]"},
    {"NULL has no shard", MEASURES, 0, 1, {0}, "1\n\\N\n", 0, "[1:1\n]error 23502"},
    {"another NULL text",
     MEASURES,
     0,
     1,
     {.null_text = {"5", 1}, .has_null_text = true},
     "1\n5\n",
     0,
     "[1:1\n]error 23502"},
    {"mixed line ends are refused", MEASURES, 0, 1, {0}, "1\n2\r\n3\n", 0, "[1:1\n]error 22P04"},
    {"a lone newline after CRLF is refused",
     MEASURES,
     0,
     1,
     {0},
     "1\r\n2\n",
     0,
     "[1:1\r\n]error 22P04"},
    {"a key of another type", MEASURES, 0, 1, {0}, "1\nx\n", 0, "[1:1\n]error 22P02"},
    {"a key out of range", MEASURES, 0, 1, {0}, "3000000000\n", 0, "error 22003"},
    {"a key that maps nowhere", ORDERS, 0, 1, {0}, "open\nlost\n", 0, "[1:open\n]error 23514"},
    {"a line without the field", MEASURES, 1, 2, {0}, "1\n", 0, "error 22P04"},
    {"an empty line is one empty field", ORDERS, 0, 1, {0}, "\n", 0, "error 23514"},
    {"nothing at all", MEASURES, 0, 1, {0}, "", 0, ""},

    {"CSV lines", MEASURES, 1, 2, .copy = {.format = SY_COPY_CSV}, "a,5\nb,-5\n", 0,
     "[1:a,5\n][0:b,-5\n]"},
    {"CSV quotes hide delimiters and line ends", MEASURES, 1, 2, CSV,
     "\"a,\n\r\n\"\"x\"\"\",5\nb,\"-5\"\n", 0, "[1:\"a,\n\r\n\"\"x\"\"\",5\n][0:b,\"-5\"\n]"},
    {"CSV quotes in the middle of a field", ORDERS, 0, 1, CSV, "o\"pe\"n\n", 0, "[1:o\"pe\"n\n]"},
    {"a CSV header with a line end inside", MEASURES, 0, 2,
     .copy = {.format = SY_COPY_CSV, .header = true}, "\"n\n\",v\n1,2\n", 0,
     "[*:\"n\n\",v\n][1:1,2\n]"},
    {"CSV with another escape", ORDERS, 1, 2, .copy = {.format = SY_COPY_CSV, .escape = '\\'},
     "\"a\\\"\n\",open\n\"\\\\\",closed\n", 0, "[1:\"a\\\"\n\",open\n][2:\"\\\\\",closed\n]"},
    {"CSV with another quote", ORDERS, 1, 2, .copy = {.format = SY_COPY_CSV, .quote = '\''},
     "'a\n,',open\n", 0, "[1:'a\n,',open\n]"},
    {"an empty CSV field is NULL", ORDERS, 1, 2, CSV, "1,open\n2,\n", 0, "[1:1,open\n]error 23502"},
    {"a quoted empty CSV field is not NULL", ORDERS, 1, 2, CSV, "2,\"\"\n", 0, "error 23514"},
    {"a backslash is nothing special in CSV", ORDERS, 1, 2, CSV, "\\,open\na\\\n,b\n", 0,
     "[1:\\,open\n]error 22P04"},
    {"the end marker in CSV", MEASURES, 0, 1, CSV, "1\n\\.\nrest\n", 0, "[1:1\n]"},
    {"a CSV quote that stays open", MEASURES, 1, 2, CSV, "1,5\n\"a,6\n", 0, "[1:1,5\n]error 22P04"},
    {"CSV with CRLF", MEASURES, 0, 2, CSV, "1,\"a\r\n\"\r\n200,b\r\n", 0,
     "[1:1,\"a\r\n\"\r\n][2:200,b\r\n]"},

    {"binary tuples", MEASURES, 1, 2, BINARY,
     SIGNATURE "\0\2\0\0\0\1x\0\0\0\4\0\0\0\5"
               "\0\2\377\377\377\377\0\0\0\4\377\377\377\373"
               "\377\377",
     19 + 15 + 14 + 2, "[*:19][1:15][0:14][*:2]"},
    {"a binary header with an extension", MEASURES, 0, 1, BINARY,
     "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\3abc"
     "\0\1\0\0\0\4\0\0\0\5"
     "\377\377",
     22 + 10 + 2, "[*:22][1:10][*:2]"},
    {"a binary NULL key", MEASURES, 0, 1, BINARY, SIGNATURE "\0\1\377\377\377\377", 19 + 6,
     "[*:19]error 23502"},
    {"binary data that ends early", MEASURES, 0, 1, BINARY, SIGNATURE "\0\1\0\0\0\4\0\0", 19 + 8,
     "[*:19]error 22P04"},
    {"binary data behind the trailer", MEASURES, 0, 1, BINARY, SIGNATURE "\377\377x", 19 + 3,
     "[*:19][*:2]error 22P04"},
    {"a wrong signature", MEASURES, 0, 1, BINARY, "PGCOPZ\n", 7, "error 22P04"},
    {"a wrong field count", MEASURES, 0, 1, BINARY, SIGNATURE "\0\2", 19 + 2, "[*:19]error 22P04"},
    {"a negative field size", MEASURES, 0, 1, BINARY, SIGNATURE "\0\1\377\377\377\376", 19 + 6,
     "[*:19]error 22P04"},
};

struct taken {
    struct sy_buf out;
    bool lengths;
};

static enum sy_status take(void *ctx, uint32_t shard, const char *data, size_t bytes,
                           struct sy_err *err)
{
    (void)err;
    struct taken *taken = ctx;
    if (shard == UINT32_MAX)
        sy_buf_append_str(&taken->out, "[*:");
    else
        sy_buf_printf(&taken->out, "[%u:", shard);
    if (taken->lengths)
        sy_buf_printf(&taken->out, "%zu", bytes);
    else
        sy_buf_append(&taken->out, data, bytes);
    sy_buf_append_str(&taken->out, "]");
    return SY_OK;
}

/* Feeds a piece in memory of its own size, so that reading past it is seen by AddressSanitizer. */
static enum sy_status feed(struct sy_copy_split *split, const char *data, size_t bytes,
                           struct taken *taken, struct sy_err *err)
{
    char *copy = malloc(bytes == 0 ? 1 : bytes);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    enum sy_status status = sy_copy_split_feed(split, copy, bytes, take, taken, err);
    free(copy);
    return status;
}

static void run(const struct row *row, const struct sy_shardmap *map, size_t first, size_t piece)
{
    struct sy_copy_split_options options = {.copy = &row->copy,
                                            .map = map,
                                            .keyspace = (uint32_t)row->space,
                                            .key_ordinal = row->key,
                                            .hash_key_ordinal = -1,
                                            .column_count = row->columns,
                                            .table = SY_SLICE("t"),
                                            .key = SY_SLICE("k")};
    struct sy_copy_split *split = NULL;
    struct taken taken = {.lengths = row->copy.format == SY_COPY_BINARY};
    struct sy_err err = {0};
    size_t bytes = row->bytes == 0 ? strlen(row->input) : row->bytes;
    assert_int_equal(sy_copy_split_new(&options, &split, &err), SY_OK);
    enum sy_status status = feed(split, row->input, first, &taken, &err);
    for (size_t at = first; status == SY_OK && at < bytes; at += piece)
        status =
            feed(split, row->input + at, bytes - at < piece ? bytes - at : piece, &taken, &err);
    if (status == SY_OK)
        status = sy_copy_split_end(split, take, &taken, &err);
    if (status != SY_OK)
        sy_buf_printf(&taken.out, "error %s", sy_err_sqlstate(&err));
    sy_buf_append_u8(&taken.out, 0);
    if (strcmp(taken.out.data, row->expected) != 0)
        fail_msg("%s (cut at %zu, pieces of %zu): expected %s, got %s", row->label, first, piece,
                 row->expected, taken.out.data);
    sy_buf_release(&taken.out);
    sy_copy_split_free(&split);
}

static void splits_the_same_wherever_the_data_is_cut(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = world_map(&arena);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t bytes = rows[i].bytes == 0 ? strlen(rows[i].input) : rows[i].bytes;
        for (size_t first = 0; first <= bytes; first++) {
            run(&rows[i], map, first, bytes + 1);
            run(&rows[i], map, first, 1);
            run(&rows[i], map, first, 3);
        }
    }
    sy_arena_release(&arena);
}

static void uses_both_columns_of_a_hashed_region(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = world_map(&arena);
    struct sy_copy_facts copy = {.format = SY_COPY_CSV};
    struct sy_copy_split_options options = {.copy = &copy,
                                            .map = map,
                                            .keyspace = CITIZENS,
                                            .key_ordinal = 1,
                                            .hash_key_ordinal = 0,
                                            .column_count = 3,
                                            .table = SY_SLICE("citizens"),
                                            .key = SY_SLICE("country")};
    struct sy_copy_split *split = NULL;
    struct taken taken = {0};
    const char *input = "1,DE,x\n2,DE,y\n1,JP,z\n";
    assert_int_equal(sy_copy_split_new(&options, &split, NULL), SY_OK);
    assert_int_equal(feed(split, input, strlen(input), &taken, NULL), SY_OK);
    assert_int_equal(sy_copy_split_end(split, take, &taken, NULL), SY_OK);
    sy_buf_append_u8(&taken.out, 0);
    assert_string_equal(taken.out.data, "[1:1,DE,x\n][0:2,DE,y\n][2:1,JP,z\n]");
    sy_buf_release(&taken.out);
    sy_copy_split_free(&split);
    sy_arena_release(&arena);
}

/* PostgreSQL's words, in its CONTEXT field. */
static void errors_say_where(void **state)
{
    (void)state;
    static const struct {
        enum space space;
        struct sy_copy_facts copy;
        const char *input, *context, *detail;
    } cases[] = {
        {MEASURES, {0}, "1\tx\nbad\ty\n", "COPY t, line 2, column k: \"bad\"", ""},
        {MEASURES, {0}, "1\tx\n\\N\ty\n", "COPY t, line 2: \"\\N\ty\"", ""},
        {ORDERS,
         {0},
         "lost\ty\n",
         "COPY t, line 1: \"lost\ty\"",
         "Partition key of the failing row contains (k) = (lost)."},
        {ORDERS, CSV_FORMAT, "open,1\n\"lo,st\",2\n", "COPY t, line 2: \"\"lo,st\",2\"",
         "Partition key of the failing row contains (k) = (lo,st)."},
        {MEASURES,
         {0},
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
         "89012345678\xc3\xa4\n",
         "COPY t, line 1, column k: "
         "\"012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
         "7"
         "89012345678...\"",
         ""},
    };
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = world_map(&arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_copy_split_options options = {.copy = &cases[i].copy,
                                                .map = map,
                                                .keyspace = (uint32_t)cases[i].space,
                                                .hash_key_ordinal = -1,
                                                .column_count = 2,
                                                .table = SY_SLICE("t"),
                                                .key = SY_SLICE("k")};
        struct sy_copy_split *split = NULL;
        struct taken taken = {0};
        struct sy_err err = {0};
        assert_int_equal(sy_copy_split_new(&options, &split, &err), SY_OK);
        assert_int_not_equal(
            sy_copy_split_feed(split, cases[i].input, strlen(cases[i].input), take, &taken, &err),
            SY_OK);
        assert_string_equal(err.context, cases[i].context);
        assert_string_equal(err.detail, cases[i].detail);
        sy_buf_release(&taken.out);
        sy_copy_split_free(&split);
    }
    sy_arena_release(&arena);
}

static enum sy_status refuse(void *ctx, uint32_t shard, const char *data, size_t bytes,
                             struct sy_err *err)
{
    (void)ctx, (void)shard, (void)data, (void)bytes;
    return sy_err_set(err, SY_E_CONNECTION_LOST, "gone");
}

static void passes_on_what_the_receiver_says(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    struct sy_copy_facts copy = {0};
    struct sy_copy_split_options options = {.copy = &copy,
                                            .map = world_map(&arena),
                                            .keyspace = MEASURES,
                                            .hash_key_ordinal = -1,
                                            .column_count = 1};
    struct sy_copy_split *split = NULL;
    assert_int_equal(sy_copy_split_new(&options, &split, NULL), SY_OK);
    assert_int_equal(sy_copy_split_feed(split, "1\n", 2, refuse, NULL, NULL), SY_E_CONNECTION_LOST);
    sy_copy_split_free(&split);
    sy_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_the_same_wherever_the_data_is_cut),
        cmocka_unit_test(uses_both_columns_of_a_hashed_region),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(passes_on_what_the_receiver_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
