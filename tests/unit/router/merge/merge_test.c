/* Streams of random rows against qsort, and numeric averages against what PostgreSQL 15 answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/merge/datum.h"
#include "router/merge/fold.h"
#include "router/merge/merge.h"
#include "router/wire/message.h"

enum { STREAMS = 5, ROWS = 400 };

static void averages_have_the_scale_of_the_server(void **state)
{
    (void)state;
    /* SELECT avg(x) of values with this sum and count. */
    static const struct {
        const char *sum;
        int64_t count;
        const char *average;
    } cases[] = {
        {"10", 4, "2.5000000000000000"},     {"1", 3, "0.33333333333333333333"},
        {"2", 3, "0.66666666666666666667"},  {"-2", 3, "-0.66666666666666666667"},
        {"100000", 3, "33333.333333333333"}, {"0", 7, "0.00000000000000000000"},
        {"10.50", 2, "5.2500000000000000"},  {"NaN", 2, "NaN"},
        {"Infinity", 2, "Infinity"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_decimal sum, average, again;
        struct sy_buf text = {0}, binary = {0};
        sy_decimal_init(&sum);
        sy_decimal_init(&average);
        sy_decimal_init(&again);
        assert_true(sy_decimal_read_text(&sum, sy_slice_of(cases[i].sum)));
        sy_decimal_average(&average, &sum, cases[i].count);
        sy_decimal_write_binary(&average, &binary);
        assert_true(sy_decimal_read_binary(&again, (struct sy_slice){binary.data, binary.bytes}));
        assert_int_equal(sy_decimal_compare(&again, &average), 0);
        sy_decimal_write_text(&again, &text);
        sy_buf_append_u8(&text, 0);
        assert_string_equal(text.data, cases[i].average);
        sy_decimal_release(&sum);
        sy_decimal_release(&average);
        sy_decimal_release(&again);
        sy_buf_release(&text);
        sy_buf_release(&binary);
    }
}

static void floats_are_written_as_the_server_writes_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        bool single;
        const char *text;
    } cases[] = {
        {0, false, "0"},
        {-0.0, false, "-0"},
        {0.1, false, "0.1"},
        {1e15, false, "1e+15"},
        {1e14, false, "100000000000000"},
        {123456.5, false, "123456.5"},
        {1e-5, false, "1e-05"},
        {0.0001, false, "0.0001"},
        {1e300, false, "1e+300"},
        {0.1 + 0.2, false, "0.30000000000000004"},
        {1e6, true, "1e+06"},
        {123456, true, "123456"},
        {(double)0.1f, true, "0.1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_buf text = {0};
        sy_float_write_text(cases[i].value, cases[i].single, &text);
        sy_buf_append_u8(&text, 0);
        assert_string_equal(text.data, cases[i].text);
        sy_buf_release(&text);
    }
}

static void sizes_are_written_as_the_server_writes_them(void **state)
{
    (void)state;
    /* SELECT pg_size_pretty(n) */
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"0", "0 bytes"},
        {"10239", "10239 bytes"},
        {"10240", "10 kB"},
        {"10751", "10 kB"},
        {"10752", "11 kB"},
        {"10485247", "10239 kB"},
        {"10485248", "10 MB"},
        {"20968448", "20 MB"},
        {"10736893951", "10239 MB"},
        {"10736893952", "10 GB"},
        {"21990232555520", "20 TB"},
        {"11258999068426240", "10 PB"},
        {"9223372036854775807", "8192 PB"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_merge_fold what = {.kind = SY_FOLD_PRETTY_SIZE};
        struct sy_fold_type type = {.kind = SY_DATUM_INT8};
        struct sy_err err = {0};
        struct sy_fold fold;
        struct sy_buf out = {0};
        sy_fold_init(&fold, &what);
        assert_int_equal(sy_fold_set_type(&fold, &type, 20, &err), SY_OK);
        sy_fold_begin(&fold);
        struct sy_slice none = {0};
        assert_int_equal(sy_fold_add(&fold, sy_slice_of(cases[i].bytes), none, &err), SY_OK);
        assert_int_equal(sy_fold_add(&fold, none, none, &err), SY_OK);
        sy_fold_write(&fold, &out);
        sy_buf_append_u8(&out, 0);
        assert_string_equal(out.data + 4, cases[i].text);
        assert_int_equal(sy_fold_result_type(&fold, 20), 25);
        sy_buf_release(&out);
        sy_fold_release(&fold);
    }
}

static struct sy_slice body_of(const struct sy_buf *message)
{
    return (struct sy_slice){message->data + 5, message->bytes - 5};
}

static void describe(struct sy_merge *merge)
{
    const struct sy_column_desc columns[] = {
        {.name = SY_SLICE("a"), .type_oid = 23, .type_size = 4, .type_modifier = -1},
        {.name = SY_SLICE("_switchyard_1"), .type_oid = 23, .type_size = 4, .type_modifier = -1},
    };
    struct sy_buf message = {0};
    struct sy_err err = {0};
    sy_write_row_description(&message, columns, 2);
    for (uint32_t i = 0; i < STREAMS; i++)
        assert_int_equal(sy_merge_columns(merge, i, body_of(&message), &err), SY_OK);
    sy_buf_release(&message);
}

static void push(struct sy_merge *merge, uint32_t stream, int number)
{
    char a[16], b[16];
    struct sy_err err = {0};
    struct sy_buf message = {0};
    snprintf(a, sizeof(a), "%d", number * 2);
    snprintf(b, sizeof(b), "%d", number);
    struct sy_slice values[] = {sy_slice_of(a), sy_slice_of(b)};
    sy_write_data_row(&message, values, 2);
    assert_int_equal(sy_merge_push(merge, stream, body_of(&message), &err), SY_OK);
    sy_buf_release(&message);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Rows come in pieces: whatever is there is merged at once. */
static void merges_as_a_sort_would(void **state)
{
    (void)state;
    unsigned seed = 7;
    struct sy_merge_key key = {.column = -1};
    for (int round = 0; round < 20; round++) {
        bool unique = round % 2 == 1;
        struct sy_merge_spec spec = {
            .keys = &key, .key_count = 1, .unique = unique ? 1 : -1, .hidden_count = 1};
        struct sy_merge_options options = {.limit = round < 10 ? UINT64_MAX : 50,
                                           .offset = round < 10 ? 0 : 9};
        int rows[STREAMS][ROWS], counts[STREAMS], next[STREAMS] = {0}, all[STREAMS * ROWS];
        int total = 0;
        for (int s = 0; s < STREAMS; s++) {
            counts[s] = (int)(rand_r(&seed) % ROWS);
            for (int r = 0; r < counts[s]; r++)
                all[total++] = rows[s][r] = (int)(rand_r(&seed) % 500) - 250;
            qsort(rows[s], (size_t)counts[s], sizeof(int), by_number);
        }
        qsort(all, (size_t)total, sizeof(int), by_number);
        struct sy_merge *merge = NULL;
        struct sy_err err = {0};
        assert_int_equal(sy_merge_new(&spec, &options, STREAMS, &merge, &err), SY_OK);
        describe(merge);
        struct sy_buf out = {0};
        uint64_t pause = round % 2 == 0 ? UINT64_MAX : 7;
        sy_merge_pause_at(merge, pause);
        enum sy_merge_state merged = SY_MERGE_NEEDS;
        while (merged != SY_MERGE_DONE) {
            uint32_t s = (uint32_t)rand_r(&seed) % STREAMS;
            if (next[s] < counts[s])
                push(merge, s, rows[s][next[s]++]);
            else
                sy_merge_end(merge, s);
            assert_int_equal(sy_merge_step(merge, &out, out.bytes + 64, &merged, &err), SY_OK);
            if (merged == SY_MERGE_PAUSED) { /* exactly there, and goes on where it stopped */
                assert_int_equal(sy_merge_rows(merge), pause);
                pause += 1 + (uint64_t)rand_r(&seed) % 20;
                sy_merge_pause_at(merge, pause);
            } else if (pause < UINT64_MAX) {
                assert_true(sy_merge_rows(merge) <= pause);
            }
        }
        struct sy_buf expected = {0};
        uint64_t seen = 0, told = 0;
        for (int i = 0; i < total; i++) {
            char a[16];
            if ((unique && i > 0 && all[i] == all[i - 1]) || seen++ < options.offset ||
                told == options.limit)
                continue;
            told++;
            snprintf(a, sizeof(a), "%d", all[i] * 2);
            struct sy_slice value = sy_slice_of(a);
            sy_write_data_row(&expected, &value, 1);
        }
        assert_int_equal(out.bytes, expected.bytes);
        assert_memory_equal(out.data, expected.data, expected.bytes);
        assert_int_equal(sy_merge_rows(merge), told);
        sy_buf_release(&out);
        sy_buf_release(&expected);
        sy_merge_free(&merge);
    }
}

/* Rows of 0, 1, 2 ... come back in that order, whatever stream has them and whenever it sends. */
static void rows_come_in_turn(void **state)
{
    (void)state;
    unsigned seed = 11;
    for (int round = 0; round < 10; round++) {
        uint16_t turns[ROWS];
        int next[STREAMS] = {0}, rows[STREAMS][ROWS], counts[STREAMS] = {0};
        for (int i = 0; i < ROWS; i++) {
            turns[i] = (uint16_t)(rand_r(&seed) % STREAMS);
            rows[turns[i]][counts[turns[i]]++] = i;
        }
        struct sy_merge_spec spec = {
            .unique = -1, .hidden_count = 1, .turns = turns, .turn_count = ROWS};
        struct sy_merge_options options = {.limit = UINT64_MAX};
        struct sy_merge *merge = NULL;
        struct sy_err err = {0};
        struct sy_buf out = {0}, expected = {0};
        assert_int_equal(sy_merge_new(&spec, &options, STREAMS, &merge, &err), SY_OK);
        describe(merge);
        /* One stream ends without its last row: the others do not wait for it. */
        counts[round % STREAMS]--;
        enum sy_merge_state merged = SY_MERGE_NEEDS;
        while (merged != SY_MERGE_DONE) {
            uint32_t s = (uint32_t)rand_r(&seed) % STREAMS;
            if (next[s] < counts[s])
                push(merge, s, rows[s][next[s]++]);
            else
                sy_merge_end(merge, s);
            assert_int_equal(sy_merge_step(merge, &out, out.bytes + 64, &merged, &err), SY_OK);
        }
        int missing = rows[round % STREAMS][counts[round % STREAMS]];
        for (int i = 0; i < ROWS; i++) {
            char a[16];
            snprintf(a, sizeof(a), "%d", i * 2);
            struct sy_slice value = sy_slice_of(a);
            if (i != missing)
                sy_write_data_row(&expected, &value, 1);
        }
        assert_int_equal(out.bytes, expected.bytes);
        assert_memory_equal(out.data, expected.data, expected.bytes);
        sy_buf_release(&out);
        sy_buf_release(&expected);
        sy_merge_free(&merge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_have_the_scale_of_the_server),
        cmocka_unit_test(floats_are_written_as_the_server_writes_them),
        cmocka_unit_test(sizes_are_written_as_the_server_writes_them),
        cmocka_unit_test(merges_as_a_sort_would),
        cmocka_unit_test(rows_come_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
