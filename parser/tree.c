/*
 * Text to raw tree, and raw tree to the public protobuf form. With the other tree*.c the only place
 * that touches libpg_query's internal interface.
 *
 * Thread: any one of a fixed set (each thread that ever parses uses up a pthread key for ever).
 */
#include "parser/tree_internal.h"

#include <pg_query.h>
#include <pg_query_internal.h>
#include <stdlib.h>

#include "base/limits.h"
#include "parser/scan.h"
#include "parser/tree.h"

PgQueryProtobuf pg_query_nodes_to_protobuf(const void *obj);
/* The lexer's setting, per thread. */
extern __thread bool standard_conforming_strings;

/* The library reports no SQLSTATE, so the messages that are not syntax errors (42601) are told by
 * their start. */
static const struct {
    const char *start, *sqlstate;
} states[] = {
    {"memory exhausted", "54001"},
    {"MATCH PARTIAL not yet implemented", "0A000"},
    {"CREATE ASSERTION is not yet implemented", "0A000"},
    {"UNIQUE predicate is not yet implemented", "0A000"},
    {"WITH CHECK OPTION not supported on recursive views", "0A000"},
    {"CREATE OR REPLACE CONSTRAINT TRIGGER is not supported", "0A000"},
    {"current database cannot be changed", "0A000"},
    {"STDIN/STDOUT not allowed with PROGRAM", "42601"},
    {"precision for type float must be", "22023"},
    {"column number must be in range", "22023"},
    {"frame start", "42P20"},
    {"frame end", "42P20"},
    {"frame starting from", "42P20"},
    {"role name \"", "42939"},
    {"invalid Unicode escape", "22025"},
    {"unsafe use of \\'", "22P06"},
    {"unsafe use of string constant with Unicode", "0A000"},
    {"invalid byte sequence", "22021"},
    {"invalid Unicode code point", "22021"},
    {"conversion between", "0A000"},
    {"stack depth limit exceeded", "54001"},
};

/* The rest of this message quotes the text, which was tamed. */
static const char open_comment[] = "unterminated /* comment";

static enum sy_status map_error(const PgQueryError *error, struct sy_err *err)
{
    const char *message = error->message != NULL ? error->message : "syntax error";
    if (strncmp(message, "out of memory", 13) == 0)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while parsing");
    enum sy_status status = sy_err_set(err, SY_E_SYNTAX, "%s", message);
    if (err == NULL)
        return status;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strncmp(message, states[i].start, strlen(states[i].start)) == 0)
            sy_err_state(err, states[i].sqlstate);
    err->position = error->cursorpos > 0 ? error->cursorpos : 0;
    return status;
}

/* A copy as the library wants it, zero-terminated and tamed. NULL: no memory. */
static char *input_of(struct sy_slice text, bool conforming_strings,
                      struct sy_scan_taming *ret_taming)
{
    char *copy = malloc(text.bytes + 1);
    if (copy == NULL)
        return NULL;
    if (text.bytes > 0)
        memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = '\0';
    *ret_taming = sy_scan_tame(copy, (uint32_t)text.bytes, conforming_strings);
    return copy;
}

enum sy_status sy_tree_parse(struct sy_slice text, bool conforming_strings,
                             struct sy_tree *ret_tree, struct sy_err *err)
{
    if (text.bytes > 0 && memchr(text.data, '\0', text.bytes) != NULL) {
        sy_err_set(err, SY_E_SYNTAX, "invalid byte sequence for encoding \"UTF8\": 0x00");
        sy_err_state(err, "22021");
        return SY_E_SYNTAX;
    }
    if (text.bytes > SY_LIMIT_MESSAGE_BYTES)
        return sy_err_set(err, SY_E_LIMIT, "the statement is too long");
    struct sy_scan_taming taming = {0};
    char *input = input_of(text, conforming_strings, &taming);
    if (input == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while parsing");
    if (taming.long_operator != UINT32_MAX) {
        free(input);
        return sy_err_set(err, SY_E_SYNTAX, "operator too long");
    }
    MemoryContext context = pg_query_enter_memory_context();
    standard_conforming_strings = conforming_strings;
    PgQueryInternalParsetreeAndError parsed = pg_query_raw_parse(input);
    standard_conforming_strings = true;
    free(input);
    free(parsed.stderr_buffer);
    if (parsed.error != NULL) {
        enum sy_status status = map_error(parsed.error, err);
        if (err != NULL && taming.open_comment != UINT32_MAX &&
            strncmp(err->text, open_comment, strlen(open_comment)) == 0)
            snprintf(err->text, sizeof(err->text), "%s at or near \"%.*s\"", open_comment,
                     (int)(text.bytes - taming.open_comment), text.data + taming.open_comment);
        pg_query_free_error(parsed.error);
        pg_query_exit_memory_context(context);
        return status;
    }
    *ret_tree = (struct sy_tree){.stmts = parsed.tree, .context = context};
    return SY_OK;
}

void sy_tree_free(struct sy_tree *tree)
{
    if (tree->context != NULL)
        pg_query_exit_memory_context(tree->context);
    *tree = (struct sy_tree){0};
}

enum sy_status sy_tree_pack(struct sy_slice text, uint8_t **ret_data, size_t *ret_bytes,
                            struct sy_err *err)
{
    struct sy_tree tree = {0};
    enum sy_status status = sy_tree_parse(text, true, &tree, err);
    if (status != SY_OK)
        return status;
    if (!sy_tree_within_depth((const Node *)tree.stmts, SY_LIMIT_PARSE_DEPTH)) {
        sy_tree_free(&tree);
        sy_err_set(err, SY_E_LIMIT, "the statement is nested too deeply");
        sy_err_state(err, "54001");
        sy_err_hint(err, "Nesting is limited to %d levels.", SY_LIMIT_PARSE_DEPTH);
        return SY_E_LIMIT;
    }
    PgQueryProtobuf packed = pg_query_nodes_to_protobuf(tree.stmts);
    sy_tree_free(&tree);
    *ret_data = (uint8_t *)packed.data;
    *ret_bytes = packed.len;
    return SY_OK;
}
