/*
 * The input is a statement. Whatever it is, its facts are well formed: every index points where it
 * should, trees of conditions are trees, and values point at literals of the text.
 */
#include <string.h>

#include "base/buf.h"
#include "parser/facts_print.h"
#include "parser/parser.h"
#include "parser/protobuf.h"
#include "parser/scan.h"
#include "tests/fuzz/fuzz.h"

struct bounds {
    uint32_t literals;
};

static void check_range(int32_t first, int32_t count, int32_t all)
{
    FUZZ_CHECK(count >= 0 && first >= 0 && first <= all && count <= all - first);
}

static void check_value(const struct sy_value *value, const struct bounds *bounds)
{
    if (value->kind == SY_VALUE_LITERAL)
        FUZZ_CHECK(value->index >= 0 && (uint32_t)value->index < bounds->literals);
    else
        FUZZ_CHECK(!value->negated);
}

static void check_index(int32_t index, int32_t count)
{
    FUZZ_CHECK(index == SY_NO_INDEX || (index >= 0 && index < count));
}

static void check_cond(const struct sy_stmt *stmt, int32_t index, int32_t scope, int depth)
{
    FUZZ_CHECK(index >= 0 && index < stmt->cond_count && depth < 3000);
    const struct sy_cond *cond = &stmt->conds[index];
    FUZZ_CHECK(cond->scope == scope);
    if (cond->kind == SY_COND_AND || cond->kind == SY_COND_OR) {
        FUZZ_CHECK(cond->child_count >= 2);
        for (int32_t i = 0; i < cond->child_count; i++)
            check_cond(stmt, stmt->cond_children[cond->first_child + i], scope, depth + 1);
    }
    if (cond->kind != SY_COND_COMPARE)
        return;
    FUZZ_CHECK(cond->column.bytes > 0);
    check_index(cond->table, stmt->table_count);
    if (cond->table != SY_NO_INDEX)
        FUZZ_CHECK(stmt->tables[cond->table].scope == scope);
    check_range(cond->first_value, cond->value_count, stmt->value_count);
    FUZZ_CHECK(cond->op == SY_OP_IS_NULL ? cond->value_count == 0 : cond->value_count >= 1);
    for (int32_t i = 0; i < cond->value_count; i++) {
        enum sy_value_kind kind = stmt->values[cond->first_value + i].kind;
        FUZZ_CHECK(kind == SY_VALUE_LITERAL || kind == SY_VALUE_PARAM || kind == SY_VALUE_BOOL);
    }
}

static void check_scopes(const struct sy_stmt *stmt)
{
    for (int32_t i = 0; i < stmt->scope_count; i++) {
        const struct sy_scope *scope = &stmt->scopes[i];
        FUZZ_CHECK(i == 0 ? scope->parent == SY_NO_INDEX : scope->parent >= 0 && scope->parent < i);
        if (scope->where != SY_NO_INDEX)
            check_cond(stmt, scope->where, i, 0);
    }
}

static void check_lists(const struct sy_stmt *stmt, const struct bounds *bounds)
{
    for (int32_t i = 0; i < stmt->table_count; i++)
        FUZZ_CHECK(stmt->tables[i].scope >= 0 && stmt->tables[i].scope < stmt->scope_count);
    for (int32_t i = 0; i < stmt->value_count; i++)
        check_value(&stmt->values[i], bounds);
    for (int32_t i = 0; i < stmt->argument_count; i++)
        check_value(&stmt->arguments[i], bounds);
    for (int32_t i = 0; i < stmt->equality_count; i++) {
        const struct sy_equality *e = &stmt->equalities[i];
        check_index(e->from_table, stmt->table_count);
        check_index(e->to_table, stmt->table_count);
        FUZZ_CHECK(e->from_scope >= 0 && e->from_scope < stmt->scope_count);
        FUZZ_CHECK(e->to_scope >= 0 && e->to_scope < stmt->scope_count);
    }
    for (int32_t i = 0; i < stmt->insert_count; i++) {
        const struct sy_insert *insert = &stmt->inserts[i];
        FUZZ_CHECK(insert->scope >= 0 && insert->scope < stmt->scope_count);
        check_range(insert->row_first_value, insert->row_count * insert->row_width,
                    stmt->value_count);
    }
    check_value(&stmt->limit, bounds);
    check_value(&stmt->offset, bounds);
}

static void check_stmt(const struct sy_stmt *stmt, const struct bounds *bounds, int depth)
{
    FUZZ_CHECK(stmt->tag != NULL && depth < 3000);
    FUZZ_CHECK(stmt->inner_text_from <= stmt->inner_text_to);
    check_scopes(stmt);
    check_lists(stmt, bounds);
    if (stmt->inner != NULL)
        check_stmt(stmt->inner, bounds, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_slice text = {(const char *)data, bytes};
    struct sy_scanner scanner = {.literals = NULL};
    struct sy_arena arena = {.blocks = NULL};
    struct sy_buf out = {.data = NULL};
    const struct sy_facts *facts = NULL;
    PgQuery__ParseResult *result = NULL;
    struct sy_err err = {.status = SY_OK};
    FUZZ_CHECK(sy_scan_text(&scanner, text, true));
    enum sy_status status =
        sy_parse_facts(text, scanner.literals, scanner.literal_count, &arena, &facts, &err);
    if (status == SY_OK) {
        struct bounds bounds = {.literals = scanner.literal_count};
        for (int32_t i = 0; i < facts->stmt_count; i++) {
            FUZZ_CHECK(facts->stmts[i].text_from <= facts->stmts[i].text_to);
            FUZZ_CHECK(facts->stmts[i].text_to <= bytes);
            check_stmt(&facts->stmts[i], &bounds, 0);
        }
        sy_facts_print(facts, &out);
    } else {
        FUZZ_CHECK(err.text[0] != '\0' && err.position >= 0);
    }
    if (sy_parse_protobuf(text, &result, &err) == SY_OK)
        FUZZ_CHECK(status == SY_OK);
    sy_protobuf_free(&result);
    sy_buf_release(&out);
    sy_arena_release(&arena);
    sy_scanner_release(&scanner);
    return 0;
}
