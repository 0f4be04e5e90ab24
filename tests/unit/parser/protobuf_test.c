/* The protobuf form: shape, errors as PostgreSQL reports them, and inputs that would overrun a
 * stack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "parser/protobuf.h"

static void unpacks_what_was_parsed(void **state)
{
    (void)state;
    PgQuery__ParseResult *result = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_parse_protobuf(SY_SLICE("SELECT 1; UPDATE t SET a = $1"), &result, &err),
                     SY_OK);
    assert_int_equal(result->n_stmts, 2);
    assert_int_equal(result->stmts[0]->stmt->node_case, PG_QUERY__NODE__NODE_SELECT_STMT);
    assert_int_equal(result->stmts[1]->stmt->node_case, PG_QUERY__NODE__NODE_UPDATE_STMT);
    assert_int_equal(result->stmts[1]->stmt_location, 9);
    sy_protobuf_free(&result);
    assert_null(result);
    sy_protobuf_free(&result);
    assert_int_equal(sy_parse_protobuf((struct sy_slice){NULL, 0}, &result, &err), SY_OK);
    assert_int_equal(result->n_stmts, 0);
    sy_protobuf_free(&result);
}

static void reports_errors_as_postgresql_does(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *sqlstate;
        int position;
    } cases[] = {
        {"SELEC 1", "syntax error at or near \"SELEC\"", "42601", 1},
        {"SELECT", NULL, NULL, 0},
        {"SELECT 1 FROM", "syntax error at end of input", "42601", 14},
        {"SELECT 'a", "unterminated quoted string at or near \"'a\"", "42601", 8},
        {"SELECT '\xc3\xa4\xc3\xb6' FRM x y", "syntax error at or near \"x\"", "42601", 17},
        {"SELECT E'\\u00zz'", "invalid Unicode escape", "22025", 10},
        {"SELECT 1::float(99)", "precision for type float must be less than 54 bits", "22023", 17},
        {"CREATE ASSERTION a CHECK (true)", "CREATE ASSERTION is not yet implemented", "0A000", 0},
        {"SELECT /* x", "unterminated /* comment at or near \"/* x\"", "42601", 8},
        {"SELECT \"\"", "zero-length delimited identifier at or near \"\"\"\"", "42601", 8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PgQuery__ParseResult *result = NULL;
        struct sy_err err = {0};
        enum sy_status status = sy_parse_protobuf(sy_slice_of(cases[i].text), &result, &err);
        if (cases[i].message == NULL) {
            assert_int_equal(status, SY_OK);
            sy_protobuf_free(&result);
            continue;
        }
        assert_int_equal(status, SY_E_SYNTAX);
        assert_string_equal(err.text, cases[i].message);
        assert_string_equal(sy_err_sqlstate(&err), cases[i].sqlstate);
        if (cases[i].position != 0)
            assert_int_equal(err.position, cases[i].position);
    }
    struct sy_err err = {0};
    PgQuery__ParseResult *result = NULL;
    assert_int_equal(sy_parse_protobuf((struct sy_slice){"SELECT \0 1", 10}, &result, &err),
                     SY_E_SYNTAX);
    assert_string_equal(sy_err_sqlstate(&err), "22021");
}

static char *repeated(const char *head, const char *piece, size_t count, size_t *ret_bytes)
{
    size_t head_bytes = strlen(head);
    size_t piece_bytes = strlen(piece);
    char *text = malloc(head_bytes + piece_bytes * count);
    memcpy(text, head, head_bytes);
    for (size_t i = 0; i < count; i++)
        memcpy(text + head_bytes + i * piece_bytes, piece, piece_bytes);
    *ret_bytes = head_bytes + piece_bytes * count;
    return text;
}

static void refuses_deep_nesting_instead_of_crashing(void **state)
{
    (void)state;
    static const struct {
        const char *head, *piece;
    } cases[] = {
        {"SELECT 1", "+1"},
        {"SELECT 1", "::int"},
        {"SELECT 1", " UNION ALL SELECT 1"},
        {"SELECT x", " COLLATE c"},
        {"SELECT 1 FROM a", " JOIN a ON true"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t bytes = 0;
        char *text = repeated(cases[i].head, cases[i].piece, 200000, &bytes);
        PgQuery__ParseResult *result = NULL;
        struct sy_err err = {0};
        assert_int_equal(sy_parse_protobuf((struct sy_slice){text, bytes}, &result, &err),
                         SY_E_LIMIT);
        assert_string_equal(sy_err_sqlstate(&err), "54001");
        free(text);
    }
    size_t bytes = 0;
    char *text = repeated("SELECT ", "(", 100000, &bytes);
    PgQuery__ParseResult *result = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_parse_protobuf((struct sy_slice){text, bytes}, &result, &err), SY_E_SYNTAX);
    assert_string_equal(sy_err_sqlstate(&err), "54001");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_what_was_parsed),
        cmocka_unit_test(reports_errors_as_postgresql_does),
        cmocka_unit_test(refuses_deep_nesting_instead_of_crashing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
