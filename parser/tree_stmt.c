/*
 * One statement of any kind, the statement inside it, and all statements of a text.
 */
#include "parser/tree_internal.h"

#include <stdlib.h>
#include <strings.h>

#include "parser/scan.h"

/* ---- where the inner statement's text starts: nodes have no end, so the tokens are counted ----
 */

struct cursor {
    struct sy_slice text; /* cut at the end of the outer statement */
    uint32_t at, from;    /* behind the token at hand; its start */
    bool conforming;
};

static bool next(struct cursor *c)
{
    c->from = sy_scan_skip_blank(c->text, c->at);
    if (c->from >= c->text.bytes)
        return false;
    c->at = sy_scan_token_end(c->text, c->from, c->conforming);
    return true;
}

static bool is_word(const struct cursor *c, const char *word)
{
    size_t bytes = strlen(word);
    return c->at - c->from == bytes && strncasecmp(c->text.data + c->from, word, bytes) == 0;
}

/* From an opening parenthesis (the token at hand) to behind its partner. */
static void skip_parentheses(struct cursor *c)
{
    int depth = 1;
    while (depth > 0 && next(c)) {
        if (is_word(c, "("))
            depth++;
        else if (is_word(c, ")"))
            depth--;
    }
}

static bool find_word(struct cursor *c, const char *word)
{
    while (next(c)) {
        if (is_word(c, "("))
            skip_parentheses(c);
        else if (is_word(c, word))
            return true;
    }
    return false;
}

static uint32_t explained(struct cursor *c, const ExplainStmt *explain)
{
    next(c);
    uint32_t start = c->at;
    if (explain->options == NULL || !next(c))
        return sy_scan_skip_blank(c->text, start);
    if (is_word(c, "(")) {
        skip_parentheses(c);
        return sy_scan_skip_blank(c->text, c->at);
    }
    while (is_word(c, "analyze") || is_word(c, "analyse") || is_word(c, "verbose")) {
        start = c->at;
        if (!next(c))
            break;
    }
    return sy_scan_skip_blank(c->text, start);
}

static void place_inner(struct sy_facts_builder *b, const Node *node)
{
    struct sy_stmt *stmt = b->stmt;
    struct cursor c = {
        .text = {b->context->input->text.data, stmt->text_to},
        .at = stmt->text_from,
        .conforming = b->context->input->standard_conforming_strings,
    };
    stmt->inner_text_to = stmt->text_to;
    bool found = true;
    /* NOLINTBEGIN(misc-redundant-expression): each next() reads a word */
    switch ((int)nodeTag(node)) {
    case T_ExplainStmt:
        stmt->inner_text_from = explained(&c, (const ExplainStmt *)node);
        break;
    case T_PrepareStmt:
        found = next(&c) && next(&c) && find_word(&c, "as");
        stmt->inner_text_from = sy_scan_skip_blank(c.text, c.at);
        break;
    case T_DeclareCursorStmt:
        found = next(&c) && next(&c) && find_word(&c, "for");
        stmt->inner_text_from = sy_scan_skip_blank(c.text, c.at);
        break;
    case T_CopyStmt:
        found = next(&c) && next(&c) && is_word(&c, "(");
        stmt->inner_text_from = sy_scan_skip_blank(c.text, c.at);
        skip_parentheses(&c);
        stmt->inner_text_to = c.from;
        break;
    default:
        found = false;
        break;
    }
    /* NOLINTEND(misc-redundant-expression) */
    if (!found)
        stmt->inner_text_from = stmt->inner_text_to = 0;
}

void sy_build_inner(struct sy_facts_builder *b, const Node *outer, const Node *node)
{
    struct sy_stmt *inner = sy_arena_calloc(b->context->arena, 1, sizeof(*inner));
    if (inner == NULL) {
        sy_build_no_memory(b->context);
        return;
    }
    place_inner(b, outer);
    inner->text_from = b->stmt->inner_text_from;
    inner->text_to = b->stmt->inner_text_to;
    if (sy_build_enter(b)) {
        sy_build_statement(b->context, node, inner);
        sy_build_leave(b);
    }
    b->stmt->inner = inner;
    b->stmt->too_deep = b->stmt->too_deep || inner->too_deep;
}

/* ---- any statement ---- */

static const char *query_tag(const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_SelectStmt:
        return ((const SelectStmt *)node)->intoClause != NULL ? "SELECT INTO" : "SELECT";
    case T_InsertStmt:
        return "INSERT";
    case T_UpdateStmt:
        return "UPDATE";
    case T_DeleteStmt:
        return "DELETE";
    case T_MergeStmt:
        return "MERGE";
    default:
        return NULL;
    }
}

void sy_build_statement(struct sy_facts_context *context, const Node *node, struct sy_stmt *stmt)
{
    struct sy_facts_builder b;
    sy_build_init(&b, context, stmt);
    stmt->limit.kind = stmt->offset.kind = SY_VALUE_NULL;
    stmt->tag = query_tag(node);
    if (stmt->tag != NULL) {
        sy_build_query(&b, node, SY_NO_INDEX);
        stmt->kind = sy_build_scope(&b, 0)->kind;
        sy_tree_bound(context, node, stmt);
    } else if (!sy_build_session(&b, node)) {
        sy_build_ddl(&b, node);
    }
    /* What was not looked at may write. */
    if (stmt->too_deep)
        stmt->writes = true;
    sy_build_finish(&b);
}

static void text_range(const RawStmt *raw, uint32_t body_to, struct sy_stmt *stmt)
{
    stmt->text_from = raw->stmt_location > 0 ? (uint32_t)raw->stmt_location : 0;
    stmt->text_to = raw->stmt_len > 0 ? stmt->text_from + (uint32_t)raw->stmt_len : body_to;
}

static void all_statements(struct sy_facts_context *context, const List *stmts,
                           struct sy_facts *facts)
{
    int count = stmts != NULL ? stmts->length : 0;
    facts->stmts = sy_arena_calloc(context->arena, (size_t)count, sizeof(struct sy_stmt));
    if (facts->stmts == NULL) {
        sy_build_no_memory(context);
        return;
    }
    facts->stmt_count = count;
    for (int i = 0; i < count && context->status == SY_OK; i++) {
        const RawStmt *raw = stmts->elements[i].ptr_value;
        text_range(raw, context->input->body_to, &facts->stmts[i]);
        sy_build_statement(context, raw->stmt, &facts->stmts[i]);
    }
}

static void pin_literals(struct sy_facts_context *context, struct sy_tree_facts *result)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < context->input->literal_count; i++)
        count += context->literal_state[i] != SY_LITERAL_LIFTED;
    uint32_t *pinned = sy_arena_calloc(context->arena, count, sizeof(*pinned));
    if (pinned == NULL) {
        sy_build_no_memory(context);
        return;
    }
    count = 0;
    for (uint32_t i = 0; i < context->input->literal_count; i++)
        if (context->literal_state[i] != SY_LITERAL_LIFTED)
            pinned[count++] = i;
    result->pinned = pinned;
    result->pinned_count = count;
}

/* ---- EXPLAIN (ROUTE) of what PostgreSQL's EXPLAIN does not take ---- */

/* Behind the option's name: does its value, if it has one, turn it on? */
static bool turns_on(struct cursor *c)
{
    static const char *const off[] = {"off", "false", "0", "'off'", "'false'", "'0'"};
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
        if (is_word(c, off[i]))
            return false;
    return true;
}

/* Where the explained statement starts, in a text that starts with EXPLAIN (... ROUTE ...); 0: it
 * is another text. */
static uint32_t route_explained(const struct sy_tree_input *input)
{
    struct cursor c = {.text = {input->text.data, input->body_to},
                       .conforming = input->standard_conforming_strings};
    bool found = false;
    if (!next(&c) || !is_word(&c, "explain") || !next(&c) || !is_word(&c, "("))
        return 0;
    while (next(&c) && !is_word(&c, ")")) {
        bool named = is_word(&c, "route");
        if (!next(&c))
            return 0;
        found = named ? turns_on(&c) : found;
        while (!is_word(&c, ",") && !is_word(&c, ")"))
            if (!next(&c))
                return 0;
        if (is_word(&c, ")"))
            break;
    }
    return found && next(&c) ? c.from : 0;
}

/* The statement alone: blanks in front of it keep every place in the text. */
static enum sy_status parse_explained(const struct sy_tree_input *input, uint32_t from,
                                      struct sy_tree *ret_tree, struct sy_err *err)
{
    char *copy = malloc(input->text.bytes + 1);
    if (copy == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while parsing");
    memcpy(copy, input->text.data, input->text.bytes);
    memset(copy, ' ', from);
    enum sy_status status = sy_tree_parse((struct sy_slice){copy, input->text.bytes},
                                          input->standard_conforming_strings, ret_tree, err);
    free(copy);
    if (status != SY_OK || (ret_tree->stmts != NULL && ret_tree->stmts->length == 1))
        return status;
    sy_tree_free(ret_tree);
    return sy_err_set(err, SY_E_SYNTAX, "EXPLAIN (ROUTE) takes one statement");
}

/* The only statement becomes the inner one of an EXPLAIN. */
static void wrap_explained(struct sy_facts_context *context, struct sy_facts *facts, uint32_t from)
{
    struct sy_stmt *outer = sy_arena_calloc(context->arena, 1, sizeof(*outer));
    if (outer == NULL) {
        sy_build_no_memory(context);
        return;
    }
    struct sy_stmt *inner = facts->stmts;
    inner->text_from = from;
    *outer = (struct sy_stmt){.kind = SY_STMT_EXPLAIN,
                              .tag = "EXPLAIN",
                              .text_to = inner->text_to,
                              .explain_route = true,
                              .inner = inner,
                              .inner_text_from = from,
                              .inner_text_to = inner->text_to,
                              .has_parameters = inner->has_parameters,
                              .parameter_max = inner->parameter_max,
                              .too_deep = inner->too_deep,
                              .limit = {.kind = SY_VALUE_NULL},
                              .offset = {.kind = SY_VALUE_NULL}};
    facts->stmts = outer;
}

enum sy_status sy_tree_make_facts(const struct sy_tree_input *input, struct sy_arena *arena,
                                  struct sy_tree_facts *ret_facts, struct sy_err *err)
{
    struct sy_tree tree = {0};
    enum sy_status status =
        sy_tree_parse(input->text, input->standard_conforming_strings, &tree, err);
    uint32_t from = status == SY_E_SYNTAX ? route_explained(input) : 0;
    if (from > 0)
        status = parse_explained(input, from, &tree, err);
    if (status != SY_OK)
        return status;
    struct sy_facts *facts = sy_arena_calloc(arena, 1, sizeof(*facts));
    struct sy_facts_context context = {.arena = arena, .input = input, .err = err};
    struct sy_tree_facts result = {.facts = facts};
    context.literal_state = calloc((size_t)input->literal_count + 1, 1);
    if (facts == NULL || context.literal_state == NULL) {
        sy_build_no_memory(&context);
    } else {
        all_statements(&context, tree.stmts, facts);
        if (from > 0 && context.status == SY_OK)
            wrap_explained(&context, facts, from);
        pin_literals(&context, &result);
    }
    free(context.literal_state);
    sy_tree_free(&tree);
    if (context.status == SY_OK)
        *ret_facts = result;
    return context.status;
}
