/* OIDs inside binary values become those of the other side; everything else in them stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "router/topology/topology.h"

/*
 * The shard: mood 27001 (array 27002), pair 27003 (array 27004), span 27005 over pair, spans 27006
 * of it, tagged 27007 (a domain over mood[]), alone 27008, which shard 0 does not have. Shard 0:
 * the same, 1000 less. 28000 and its array 28001 are the same on both.
 */
static const struct sy_oid_pair forth[] = {{27001, 26001}, {27002, 26002}, {27003, 26003},
                                           {27004, 26004}, {27005, 26005}, {27006, 26006},
                                           {27007, 26007}, {27008, 0}};
static const struct sy_oid_pair back[] = {{26001, 27001}, {26002, 27002}, {26003, 27003},
                                          {26004, 27004}, {26005, 27005}, {26006, 27006},
                                          {26007, 27007}, {26009, 0}};
static const struct sy_type_shape shapes[] = {
    {27002, SY_SHAPE_ARRAY, 27001},      {27003, SY_SHAPE_RECORD, 0},
    {27004, SY_SHAPE_ARRAY, 27003},      {27005, SY_SHAPE_RANGE, 27003},
    {27006, SY_SHAPE_MULTIRANGE, 27005}, {27007, SY_SHAPE_DOMAIN, 27002},
    {28001, SY_SHAPE_ARRAY, 28000}};
static const struct sy_type_shape first_shapes[] = {
    {26002, SY_SHAPE_ARRAY, 26001},      {26003, SY_SHAPE_RECORD, 0},
    {26004, SY_SHAPE_ARRAY, 26003},      {26005, SY_SHAPE_RANGE, 26003},
    {26006, SY_SHAPE_MULTIRANGE, 26005}, {26007, SY_SHAPE_DOMAIN, 26002},
    {28001, SY_SHAPE_ARRAY, 28000}};
static const struct sy_type_map shard = {.types = forth,
                                         .type_count = 8,
                                         .types_back = back,
                                         .back_count = 8,
                                         .shapes = shapes,
                                         .shape_count = 7};
static const struct sy_type_map first = {.shapes = first_shapes, .shape_count = 7};
static const struct sy_value_map to_client = {.oids = &shard, .shapes = &shard};
static const struct sy_value_map to_shard = {.oids = &shard, .shapes = &first, .back = true};

/* Words of four bytes, #N for one byte, 'text' for its bytes. On the heap, so that a sanitizer sees
 * its end. */
static char *bytes_of(const char *text, size_t *ret_bytes)
{
    char *data = malloc(strlen(text) * 4 + 1), *at = data;
    assert_non_null(data);
    while (*text != 0) {
        char *end;
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++)
                *at++ = *text;
            text++;
        } else if (*text == '#') {
            *at++ = (char)strtol(text + 1, &end, 10);
            text = end;
        } else {
            uint32_t word = (uint32_t)strtol(text, &end, 10);
            for (int shift = 24; shift >= 0; shift -= 8)
                *at++ = (char)(word >> shift & 0xff);
            text = end;
        }
    }
    *ret_bytes = (size_t)(at - data);
    return realloc(data, *ret_bytes > 0 ? *ret_bytes : 1);
}

static const struct {
    const char *label;
    uint32_t type;
    const char *value, *wanted; /* wanted NULL: not a value of that type */
} cases[] = {
    {"an integer", 23, "27001", "27001"},
    {"an enum", 27001, "'sad'", "'sad'"},
    {"an array of enums", 27002, "1 0 27001 2 1 3 'sad' -1", "1 0 26001 2 1 3 'sad' -1"},
    {"an empty array", 27002, "0 0 27001", "0 0 26001"},
    {"two dimensions", 27002, "2 0 27001 1 1 1 1 3 'sad'", "2 0 26001 1 1 1 1 3 'sad'"},
    {"a record", 27003, "2 23 4 27001 27001 3 'sad'", "2 23 4 27001 26001 3 'sad'"},
    {"a record with an array", 27003, "1 27002 27 1 0 27001 1 1 3 'sad'",
     "1 26002 27 1 0 26001 1 1 3 'sad'"},
    {"a record with a NULL", 27003, "1 27002 -1", "1 26002 -1"},
    {"an array of records", 27004, "1 0 27003 1 1 15 1 27001 3 'sad'",
     "1 0 26003 1 1 15 1 26001 3 'sad'"},
    {"an anonymous record", 2249, "1 27001 3 'sad'", "1 26001 3 'sad'"},
    {"an array of anonymous records", 2287, "1 0 2249 1 1 15 1 27001 3 'sad'",
     "1 0 2249 1 1 15 1 26001 3 'sad'"},
    {"an empty range", 27005, "#1", "#1"},
    {"a range without an upper bound", 27005, "#18 15 1 27001 3 'sad'", "#18 15 1 26001 3 'sad'"},
    {"a range with both bounds", 27005, "#2 15 1 27001 3 'sad' 15 1 27001 3 'bad'",
     "#2 15 1 26001 3 'sad' 15 1 26001 3 'bad'"},
    {"several ranges", 27006, "2 #4 #20 15 1 27001 3 'sad'", NULL},
    {"one range among several", 27006, "1 20 #18 15 1 27001 3 'sad'",
     "1 20 #18 15 1 26001 3 'sad'"},
    {"a domain over an array", 27007, "1 0 27001 1 1 3 'sad'", "1 0 26001 1 1 3 'sad'"},
    {"a type that shard 0 lacks", 27003, "1 27008 1 'x'", NULL},
    {"an array that ends early", 27002, "1 0 27001 2", NULL},
    {"an array of many dimensions", 27002, "7 0 27001", NULL},
    {"a record that ends early", 27003, "2 23 4 27001 27001 4 'sad'", NULL},
    {"a record with something behind it", 27003, "1 27001 3 'sad' #0", NULL},
    {"a range without flags", 27005, "", NULL},
    {"a length beyond the end", 27004, "1 0 27003 1 1 2000000000 1", NULL},
};

static void oids_inside_values_are_those_of_the_other_side(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t bytes, wanted_bytes;
        char *value = bytes_of(cases[i].value, &bytes);
        bool good = sy_value_map_apply(&to_client, cases[i].type, value, bytes);
        if (good != (cases[i].wanted != NULL))
            fail_msg("%s: %d", cases[i].label, good);
        if (good) {
            char *wanted = bytes_of(cases[i].wanted, &wanted_bytes);
            if (bytes != wanted_bytes || memcmp(value, wanted, bytes) != 0)
                fail_msg("%s: another value", cases[i].label);
            /* And the way back. */
            uint32_t type = cases[i].type < 27000 ? cases[i].type : cases[i].type - 1000;
            assert_true(sy_value_map_apply(&to_shard, type, value, bytes));
            char *before = bytes_of(cases[i].value, &wanted_bytes);
            if (memcmp(value, before, bytes) != 0)
                fail_msg("%s: another value on the way back", cases[i].label);
            free(before);
            free(wanted);
        }
        free(value);
    }
}

static void only_types_that_hold_oids_are_looked_into(void **state)
{
    (void)state;
    static const uint32_t held[] = {27002, 27003, 27004, 27005, 27006, 27007, 2249, 2287};
    static const uint32_t plain[] = {23, 25, 1007, 27001, 27008, 28000, 28001};
    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
        assert_true(sy_value_map_concerns(&to_client, held[i]));
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        assert_false(sy_value_map_concerns(&to_client, plain[i]));
    assert_true(sy_value_map_concerns(&to_shard, 26002));
    assert_false(sy_value_map_concerns(&to_shard, 28001));
    /* Nothing differs: nothing to do. */
    const struct sy_value_map same = {.oids = &first, .shapes = &first};
    assert_false(sy_value_map_concerns(&same, 26002));
    assert_false(sy_value_map_concerns(&(struct sy_value_map){0}, 26002));
}

/* Records in records in records: an end is made of it. */
static void nesting_is_bounded(void **state)
{
    (void)state;
    enum { DEPTH = 200 };
    char *value = malloc(DEPTH * 12);
    assert_non_null(value);
    for (uint32_t i = 0; i < DEPTH; i++) {
        uint32_t words[] = {1, 2249, (DEPTH - 1 - i) * 12};
        for (int w = 0; w < 3; w++)
            for (int b = 0; b < 4; b++)
                value[i * 12 + (uint32_t)(w * 4 + b)] = (char)(words[w] >> (24 - 8 * b) & 0xff);
    }
    assert_false(sy_value_map_apply(&to_client, 2249, value, (size_t)DEPTH * 12));
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oids_inside_values_are_those_of_the_other_side),
        cmocka_unit_test(only_types_that_hold_oids_are_looked_into),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
