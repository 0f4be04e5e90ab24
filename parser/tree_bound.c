/*
 * What a statement names that has a meaning only on the very server, and in the very table, that
 * holds the rows: it says something else where tables are unions of foreign ones.
 */
#include "base/limits.h"
#include "parser/tree_internal.h"

static bool is_one_of(const char *name, const char *const *list)
{
    for (; name != NULL && *list != NULL; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

static const char *bound_here(const Node *node)
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
                   ? "a system column (ctid, tableoid, xmin ...)"
                   : NULL;
    case T_RangeVar:
        return ((const RangeVar *)node)->inh ? NULL : "ONLY in front of a table";
    case T_RangeTableSample:
        return "TABLESAMPLE";
    case T_TypeName:
        return is_one_of(sy_list_last_name(((const TypeName *)node)->names), types)
                   ? "a type that names rows of the system catalogs (regclass, xid ...)"
                   : NULL;
    default: /* NOLINT: every other kind says nothing */
        return NULL;
    }
}

static const char *search(const Node *node, int depth)
{
    if (node == NULL)
        return NULL;
    if (depth <= 0)
        return "a statement nested this deeply";
    const char *found = bound_here(node);
    const Node *child = NULL;
    for (unsigned i = 0; found == NULL && sy_tree_child(node, i, &child); i++)
        found = search(child, depth - 1);
    return found;
}

const char *sy_tree_bound(const Node *node)
{
    return search(node, SY_LIMIT_PARSE_DEPTH);
}
