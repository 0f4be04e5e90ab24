/*
 * What a statement names that has a meaning only on the very server, and in the very table, that
 * holds the rows: it says something else where tables are unions of foreign ones.
 */
#include <strings.h>

#include "base/limits.h"
#include "parser/tree_internal.h"

static bool is_one_of(const char *name, const char *const *list)
{
    for (; name != NULL && *list != NULL; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

enum { BOUND_COLUMN = 1, BOUND_ONLY = 2, BOUND_SAMPLE = 4, BOUND_TYPE = 8, BOUND_DEEP = 16 };

static unsigned bound_here(const Node *node)
{
    static const char *const columns[] = {"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax", NULL};
    static const char *const types[] = {"regclass",     "regtype",       "regproc",
                                        "regprocedure", "regoper",       "regoperator",
                                        "regrole",      "regnamespace",  "regcollation",
                                        "regconfig",    "regdictionary", "txid_snapshot",
                                        "pg_snapshot",  "xid",           "xid8",
                                        "tid",          "cid",           NULL};
    switch ((int)nodeTag(node)) {
    case T_ColumnRef:
        return is_one_of(sy_list_last_name(((const ColumnRef *)node)->fields), columns)
                   ? BOUND_COLUMN
                   : 0;
    case T_RangeVar:
        return ((const RangeVar *)node)->inh ? 0 : BOUND_ONLY;
    case T_RangeTableSample:
        return BOUND_SAMPLE;
    case T_TypeName:
        return is_one_of(sy_list_last_name(((const TypeName *)node)->names), types) ? BOUND_TYPE
                                                                                    : 0;
    default: /* NOLINT: every other kind says nothing */
        return 0;
    }
}

/* What the RETURNING of the whole statement tells is told, not written. That of a WITH query is
 * what the rest of the statement may write. */
static const Node *returning_of(const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_InsertStmt:
        return (const Node *)((const InsertStmt *)node)->returningList;
    case T_UpdateStmt:
        return (const Node *)((const UpdateStmt *)node)->returningList;
    case T_DeleteStmt:
        return (const Node *)((const DeleteStmt *)node)->returningList;
    default: /* NOLINT: no other statement returns what it writes */
        return NULL;
    }
}

static unsigned search(const Node *node, int depth)
{
    if (node == NULL)
        return 0;
    if (depth <= 0)
        return BOUND_DEEP;
    unsigned found = bound_here(node);
    const Node *child = NULL;
    for (unsigned i = 0; sy_tree_child(node, i, &child); i++)
        found |= search(child, depth - 1);
    return found;
}

static const char *in_words(unsigned found)
{
    return (found & BOUND_COLUMN) != 0   ? "a system column (ctid, tableoid, xmin ...)"
           : (found & BOUND_ONLY) != 0   ? "ONLY in front of a table"
           : (found & BOUND_SAMPLE) != 0 ? "TABLESAMPLE"
           : (found & BOUND_TYPE) != 0
               ? "a type that names rows of the system catalogs (regclass, xid ...)"
           : found != 0 ? "a statement nested this deeply"
                        : NULL;
}

/* Almost no statement has such a name, and reading its text costs a tenth of walking its tree:
 * pairs of letters first, then words. An identifier with escapes (U&) may spell anything. */
#define BIT(c) (UINT32_C(1) << (((c)-1) & 31))
#define BOTH(c, bits) [c] = (bits), [(c)-32] = (bits)
static const uint32_t second_letters[256] = {
    BOTH('c', BIT('i') | BIT('m')),
    BOTH('o', BIT('n')),
    BOTH('r', BIT('e')),
    BOTH('s', BIT('n')),
    BOTH('u', BIT('&')),
    BOTH('t', BIT('a') | BIT('i')),
    BOTH('x', BIT('i') | BIT('m')),
};

static bool is_word(const char *at, size_t bytes)
{
    static const char *const words[] = {"tid",  "tableoid", "tablesample", "xmin", "xmax",
                                        "cmin", "cmax",     "only",        "reg",  "xid",
                                        "cid",  "snapshot", "u&",          NULL};
    for (const char *const *word = words; *word != NULL; word++)
        if ((*word)[0] == (at[0] | 0x20) && (*word)[1] == (at[1] | 0x20) &&
            bytes >= strlen(*word) && strncasecmp(at, *word, strlen(*word)) == 0)
            return true;
    return false;
}

static bool may_name(struct sy_slice text)
{
    for (size_t i = 0; i + 1 < text.bytes; i++) {
        uint32_t seconds = second_letters[(unsigned char)text.data[i]];
        if (seconds != 0 && (seconds >> (((unsigned char)text.data[i + 1] - 1u) & 31) & 1) != 0 &&
            is_word(text.data + i, text.bytes - i))
            return true;
    }
    return false;
}

void sy_tree_bound(struct sy_facts_context *context, const Node *node, struct sy_stmt *stmt)
{
    if (!context->names_looked_for)
        context->may_name_bound = may_name(context->input->text);
    context->names_looked_for = true;
    const Node *child = NULL, *returning = returning_of(node);
    unsigned found = 0, told = 0;
    for (unsigned i = 0; context->may_name_bound && sy_tree_child(node, i, &child); i++)
        *(child != NULL && child == returning ? &told : &found) |=
            search(child, SY_LIMIT_PARSE_DEPTH - 1);
    stmt->bound = in_words(found | told);
    stmt->names_places = (found & (BOUND_COLUMN | BOUND_SAMPLE | BOUND_DEEP)) != 0;
}
