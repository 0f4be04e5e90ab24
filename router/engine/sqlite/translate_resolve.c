/*
 * Which operator or function a call means, by PostgreSQL's rules (Source: manual, "Type
 * Conversion", 10.2 and 10.3): exact match, then implicit coercions, then most exact matches,
 * preferred types, unknown literals.
 */
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

enum { CANDIDATES_MAX = 128 };

/* A callable with the argument types it would have for this call (variadic ones expanded). */
struct candidate {
    const void *what;
    const uint16_t *fixed;
    uint32_t fixed_count;
    uint32_t rest; /* type of variadic arguments beyond the fixed ones */
};

struct candidates {
    struct candidate items[CANDIDATES_MAX];
    uint32_t count;
};

static uint32_t argument_type(const struct candidate *candidate, uint32_t index)
{
    return index < candidate->fixed_count ? candidate->fixed[index] : candidate->rest;
}

static char category(uint32_t type)
{
    const struct sy_type_info *info = sy_type_find(type);
    return info == NULL ? 'P' : info->category;
}

static bool preferred(uint32_t type)
{
    const struct sy_type_info *info = sy_type_find(type);
    return info != NULL && info->preferred;
}

/* Keeps the candidates whose score is the highest. */
static void keep_best(struct candidates *c, const uint32_t *scores)
{
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < c->count; i++)
        best = scores[i] > best ? scores[i] : best;
    for (uint32_t i = 0; i < c->count; i++)
        if (scores[i] == best)
            c->items[kept++] = c->items[i];
    c->count = kept;
}

static void keep_most_exact(struct candidates *c, struct sq_expr **args, uint32_t count,
                            bool or_preferred)
{
    uint32_t scores[CANDIDATES_MAX] = {0};
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t a = 0; a < count; a++) {
            uint32_t given = args[a]->type, wanted = argument_type(&c->items[i], a);
            if (given == SY_T_UNKNOWN)
                continue;
            bool liked = or_preferred && preferred(wanted) && category(wanted) == category(given);
            scores[i] += given == wanted || liked;
        }
    keep_best(c, scores);
}

/* The type category that candidates agree on for one unknown argument; 0: none. */
static char agreed_category(const struct candidates *c, uint32_t a, bool *ret_preferred)
{
    char agreed = 0;
    bool mixed = false, string = false;
    *ret_preferred = false;
    for (uint32_t i = 0; i < c->count; i++) {
        char next = category(argument_type(&c->items[i], a));
        string = string || next == 'S';
        mixed = mixed || (agreed != 0 && agreed != next);
        agreed = agreed == 0 ? next : agreed;
    }
    if (mixed)
        agreed = string ? 'S' : 0;
    for (uint32_t i = 0; i < c->count && agreed != 0; i++) {
        uint32_t type = argument_type(&c->items[i], a);
        *ret_preferred = *ret_preferred || (category(type) == agreed && preferred(type));
    }
    return agreed;
}

static void keep_for_unknowns(struct candidates *c, struct sq_expr **args, uint32_t count)
{
    char wanted[SQ_ARGS_MAX] = {0};
    bool want_preferred[SQ_ARGS_MAX] = {false};
    for (uint32_t a = 0; a < count; a++)
        if (args[a]->type == SY_T_UNKNOWN) {
            wanted[a] = agreed_category(c, a, &want_preferred[a]);
            if (wanted[a] == 0)
                return;
        }
    struct candidates kept = {.count = 0};
    for (uint32_t i = 0; i < c->count; i++) {
        bool keep = true;
        for (uint32_t a = 0; a < count && keep; a++) {
            uint32_t type = argument_type(&c->items[i], a);
            if (args[a]->type == SY_T_UNKNOWN)
                keep = category(type) == wanted[a] && (!want_preferred[a] || preferred(type));
        }
        if (keep)
            kept.items[kept.count++] = c->items[i];
    }
    if (kept.count > 0)
        *c = kept;
}

/* If all known arguments have one type, unknown ones are taken for it too. */
static void keep_same_type(struct candidates *c, struct sq_expr **args, uint32_t count)
{
    uint32_t known = SY_T_UNKNOWN;
    for (uint32_t a = 0; a < count; a++) {
        if (args[a]->type == SY_T_UNKNOWN)
            continue;
        if (known != SY_T_UNKNOWN && known != args[a]->type)
            return;
        known = args[a]->type;
    }
    if (known == SY_T_UNKNOWN)
        return;
    struct candidate last = {0};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        bool all = true;
        for (uint32_t a = 0; a < count && all; a++)
            all = sq_can_coerce(known, argument_type(&c->items[i], a), 'i');
        if (all) {
            last = c->items[i];
            kept++;
        }
    }
    if (kept == 1) {
        c->items[0] = last;
        c->count = 1;
    }
}

static const void *exact(const struct candidates *c, struct sq_expr **args, uint32_t count)
{
    for (uint32_t i = 0; i < c->count; i++) {
        bool all = true;
        for (uint32_t a = 0; a < count && all; a++)
            all = args[a]->type == argument_type(&c->items[i], a) && args[a]->type != SY_T_UNKNOWN;
        if (all)
            return c->items[i].what;
    }
    return NULL;
}

/* Polymorphic arguments agree: an element fits the array beside it. */
static bool consistent(const struct candidate *candidate, struct sq_expr **args, uint32_t count)
{
    uint32_t element = 0;
    for (uint32_t a = 0; a < count; a++) {
        uint32_t type = argument_type(candidate, a);
        const struct sy_type_info *info = sy_type_find(args[a]->type);
        if ((type == SY_T_ANYARRAY || type == 5078) && info != NULL &&
            args[a]->type != SY_T_UNKNOWN)
            element = info->element;
    }
    for (uint32_t a = 0; a < count && element != 0; a++) {
        uint32_t type = argument_type(candidate, a);
        bool is_element = type == SY_T_ANYELEMENT || type == 5077;
        if (is_element && args[a]->type != SY_T_UNKNOWN &&
            category(args[a]->type) != category(element))
            return false;
    }
    return true;
}

static void keep_coercible(struct candidates *c, struct sq_expr **args, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        bool all = consistent(&c->items[i], args, count);
        for (uint32_t a = 0; a < count && all; a++)
            all = sq_can_coerce(args[a]->type, argument_type(&c->items[i], a), 'i');
        if (all)
            c->items[kept++] = c->items[i];
    }
    c->count = kept;
}

/* The element type that a polymorphic parameter would give to the call; 0: nothing is known. */
static uint32_t implied_element(uint32_t parameter, uint32_t given)
{
    if (given == SY_T_UNKNOWN || given == 0)
        return 0;
    if (parameter != SY_T_ANYARRAY && parameter != 5078)
        return parameter == SY_T_ANYELEMENT || parameter == 5077 ? given : 0;
    const struct sy_type_info *info = sy_type_find(given);
    return info == NULL ? 0 : info->element;
}

/* text[] || text[] is not "append an element that is an array": polymorphic arguments must agree.
 */
static void keep_consistent(struct candidates *c, struct sq_expr **args, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t agreed = 0;
        bool all = true;
        for (uint32_t a = 0; a < count && all; a++) {
            uint32_t element = implied_element(argument_type(&c->items[i], a), args[a]->type);
            all = element == 0 || agreed == 0 || sq_can_coerce(element, agreed, 'i') ||
                  sq_can_coerce(agreed, element, 'i');
            agreed = agreed == 0 ? element : agreed;
        }
        if (all)
            c->items[kept++] = c->items[i];
    }
    c->count = kept > 0 ? kept : c->count;
}

/* Leaves one candidate, none, or (ambiguous) several. */
static void choose(struct candidates *c, struct sq_expr **args, uint32_t count)
{
    keep_coercible(c, args, count);
    if (c->count > 1)
        keep_consistent(c, args, count);
    if (c->count > 1)
        keep_most_exact(c, args, count, false);
    if (c->count > 1)
        keep_most_exact(c, args, count, true);
    if (c->count > 1)
        keep_for_unknowns(c, args, count);
    if (c->count > 1)
        keep_same_type(c, args, count);
}

/* ---- operators ---- */

static void *operator_error(struct sq_cx *cx, const char *name, const struct sq_expr *left,
                            const struct sq_expr *right, int32_t location, bool ambiguous)
{
    const char *l = left == NULL ? "" : sq_type_display(cx, left->type);
    const char *r = sq_type_display(cx, right->type);
    if (ambiguous) {
        (void)sq_error(cx, "42725", location, "operator is not unique: %s%s%s %s", l,
                       left == NULL ? "" : " ", name, r);
        sy_err_hint(cx->err, "Could not choose a best candidate operator. You might need to add "
                             "explicit type casts.");
    } else {
        (void)sq_error(cx, "42883", location, "operator does not exist: %s%s%s %s", l,
                       left == NULL ? "" : " ", name, r);
        sy_err_hint(
            cx->err,
            "No operator matches the given name and argument types. You might need to add explicit "
            "type casts.");
    }
    return NULL;
}

static const struct sq_operator *find_operator(struct sq_cx *cx, const char *name,
                                               struct sq_expr *left, struct sq_expr *right,
                                               int32_t location)
{
    struct candidates c = {.count = 0};
    struct sq_expr *args[2] = {left == NULL ? right : left, right};
    uint32_t count = left == NULL ? 1 : 2;
    for (uint32_t i = 0; i < sq_operator_count && c.count < CANDIDATES_MAX; i++) {
        const struct sq_operator *o = &sq_operators[i];
        if (strcmp(o->name, name) == 0 && (o->left == 0) == (left == NULL))
            c.items[c.count++] =
                (struct candidate){o, left == NULL ? &o->right : &o->left, count, 0};
    }
    const struct sq_operator *found = exact(&c, args, count);
    if (found == NULL && count == 2 &&
        (left->type == SY_T_UNKNOWN) != (right->type == SY_T_UNKNOWN)) {
        uint32_t known = left->type == SY_T_UNKNOWN ? right->type : left->type;
        struct sq_expr same = {.type = known};
        struct sq_expr *both[2] = {&same, &same};
        found = exact(&c, both, 2);
    }
    if (found != NULL)
        return found;
    choose(&c, args, count);
    if (c.count == 1)
        return c.items[0].what;
    return operator_error(cx, name, left, right, location, c.count > 1);
}

/* The type that stands for a polymorphic one, once the element is known. */
static uint32_t concrete(uint32_t type, uint32_t element)
{
    const struct sy_type_info *info = sy_type_find(element);
    if (info == NULL || (type != 5077 && type != 5078))
        return type;
    return type == 5077 ? element : info->array;
}

static uint32_t operator_element(const struct sq_operator *o, const struct sq_expr *left,
                                 const struct sq_expr *right)
{
    uint32_t element = left == NULL ? 0 : implied_element(o->left, left->type);
    return element != 0 ? element : implied_element(o->right, right->type);
}

struct sq_expr *sq_operator_call(struct sq_cx *cx, const char *name, struct sq_expr *left,
                                 struct sq_expr *right, int32_t location)
{
    if (right == NULL)
        return NULL;
    const struct sq_operator *o =
        find_operator(cx, strcmp(name, "!=") == 0 ? "<>" : name, left, right, location);
    if (o == NULL)
        return NULL;
    const char *template_ = sq_template_find(o->key);
    if (template_ == NULL)
        return sq_unsupported(cx, location,
                              "operator %s on type %s is not supported by the sqlite engine", name,
                              sq_type_display(cx, o->right));
    struct sq_expr *args[2] = {NULL, NULL};
    uint32_t count = 0, element = operator_element(o, left, right),
             result = concrete(o->result, element);
    if (left != NULL) {
        args[count] = sq_coerce(cx, left, concrete(o->left, element), -1, 'i', location);
        if (args[count++] == NULL)
            return NULL;
    }
    args[count] = sq_coerce(cx, right, concrete(o->right, element), -1, 'i', location);
    if (args[count++] == NULL)
        return NULL;
    return sq_new(cx, result, location, sq_expand(cx, template_, args, count, result));
}

/* ---- functions ---- */

static void collect_procs(struct candidates *c, const char *name, uint32_t count, bool star)
{
    for (uint32_t i = 0; i < sq_proc_count && c->count < CANDIDATES_MAX; i++) {
        const struct sq_proc *p = &sq_procs[i];
        if (strcmp(p->name, name) != 0)
            continue;
        bool fits = count == p->nargs || (count < p->nargs && count + p->ndefaults >= p->nargs);
        if (star)
            fits = p->nargs == 0;
        if (!p->variadic && fits) {
            c->items[c->count++] = (struct candidate){p, p->args, p->nargs, 0};
        } else if (p->variadic && count + 1 > p->nargs) {
            uint32_t last = p->args[p->nargs - 1];
            const struct sy_type_info *info = sy_type_find(last);
            uint32_t rest = last == SY_T_ANY ? SY_T_ANY
                            : info == NULL   ? SY_T_ANYELEMENT
                                             : info->element;
            if (last == SY_T_ANYARRAY)
                rest = SY_T_ANYELEMENT;
            c->items[c->count++] = (struct candidate){p, p->args, p->nargs - 1U, rest};
        }
    }
}

static const char *argument_list(struct sq_cx *cx, struct sq_expr **args, uint32_t count)
{
    struct sy_buf buf = {0};
    for (uint32_t i = 0; i < count; i++)
        sy_buf_printf(&buf, "%s%s", i == 0 ? "" : ", ", sq_type_display(cx, args[i]->type));
    return sq_finish(cx, &buf);
}

static bool is_known(const char *name)
{
    for (uint32_t i = 0; i < sq_proc_count; i++)
        if (strcmp(sq_procs[i].name, name) == 0)
            return true;
    return false;
}

static void *proc_error(struct sq_cx *cx, const char *name, struct sq_expr **args, uint32_t count,
                        int32_t location, bool ambiguous)
{
    const char *list = argument_list(cx, args, count);
    (void)sq_error(cx, ambiguous ? "42725" : "42883", location, "function %s(%s) %s", name,
                   list == NULL ? "" : list, ambiguous ? "is not unique" : "does not exist");
    sy_err_hint(
        cx->err,
        ambiguous
            ? "Could not choose a best candidate function. You might need to add explicit type "
              "casts."
        : is_known(name)
            ? "No function matches the given name and argument types. You might need to add "
              "explicit type casts."
            : "The sqlite engine has no function of this name.");
    return NULL;
}

static bool is_polymorphic(uint32_t type)
{
    return type == SY_T_ANYELEMENT || type == SY_T_ANYARRAY || type == 2776 || type == 5077 ||
           type == 5078;
}

/* The element type that polymorphic arguments agree on; coerces them to it. 0: error set. */
static uint32_t polymorphic_element(struct sq_cx *cx, const struct candidate *c,
                                    struct sq_expr **args, uint32_t count)
{
    struct sq_expr *elements[SQ_ARGS_MAX];
    struct sq_expr fakes[SQ_ARGS_MAX];
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = argument_type(c, i);
        if (!is_polymorphic(type))
            continue;
        fakes[used] = *args[i];
        if (type == SY_T_ANYARRAY || type == 5078) {
            const struct sy_type_info *info = sy_type_find(args[i]->type);
            fakes[used].type = info == NULL || info->element == 0 ? SY_T_UNKNOWN : info->element;
        }
        elements[used] = &fakes[used];
        used++;
    }
    return used == 0 ? SY_T_TEXT
                     : sq_common_type(cx, elements, used, "arguments declared \"anyelement\"");
}

static bool coerce_arguments(struct sq_cx *cx, const struct candidate *c, struct sq_expr **args,
                             uint32_t count, uint32_t *ret_type)
{
    const struct sq_proc *proc = c->what;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what was chosen is a function */
    bool any = is_polymorphic(proc->result);
    for (uint32_t i = 0; i < count; i++)
        any = any || is_polymorphic(argument_type(c, i));
    uint32_t element = any ? polymorphic_element(cx, c, args, count) : 0;
    if (any && element == 0)
        return false;
    const struct sy_type_info *info = sy_type_find(element);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = argument_type(c, i);
        if (type == SY_T_ANYELEMENT || type == 2776 || type == 5077)
            type = element;
        else if (type == SY_T_ANYARRAY || type == 5078)
            type = args[i]->type == SY_T_UNKNOWN && info != NULL ? info->array : args[i]->type;
        else if (type == SY_T_ANY && args[i]->type == SY_T_UNKNOWN)
            type = SY_T_TEXT;
        else if (type == SY_T_ANY)
            continue;
        args[i] = sq_coerce(cx, args[i], type, -1, 'i', args[i]->location);
        if (args[i] == NULL)
            return false;
    }
    *ret_type = proc->result;
    if (proc->result == SY_T_ANYELEMENT || proc->result == 5077)
        *ret_type = element;
    else if (proc->result == SY_T_ANYARRAY || proc->result == 5078)
        *ret_type = info == NULL ? 0 : info->array;
    return true;
}

const struct sq_proc *sq_resolve_proc(struct sq_cx *cx, const char *name, struct sq_expr **args,
                                      uint32_t *arg_count, int32_t location, uint32_t *ret_type,
                                      bool star)
{
    struct candidates c = {.count = 0};
    uint32_t count = *arg_count;
    collect_procs(&c, name, count, star);
    const struct sq_proc *found = exact(&c, args, count);
    if (found != NULL) {
        for (uint32_t i = 0; i < c.count; i++)
            if (c.items[i].what == found)
                c.items[0] = c.items[i];
        c.count = 1;
    } else {
        choose(&c, args, count);
    }
    if (c.count != 1)
        return proc_error(cx, name, args, count, location, c.count > 1);
    if (!coerce_arguments(cx, &c.items[0], args, count, ret_type))
        return NULL;
    return c.items[0].what;
}

/* ---- templates ---- */

static void append_typed(struct sq_cx *cx, struct sy_buf *buf, struct sq_expr *arg)
{
    if (arg->kind == SQ_RECORD) {
        sy_buf_append_str(buf, "2249, sy_row_json(");
        for (uint32_t i = 0; i < arg->field_count; i++) {
            const struct sq_field *field = &arg->fields[i];
            const char *name = sq_string(cx, field->name, strlen(field->name));
            sy_buf_printf(buf, "%s%s, ", i == 0 ? "" : ", ", name == NULL ? "" : name);
            append_typed(cx, buf, field->expr);
        }
        sy_buf_append_str(buf, ")");
        return;
    }
    uint32_t type = arg->type == SY_T_UNKNOWN ? SY_T_TEXT : arg->type;
    sy_buf_printf(buf, "%u, %s", type, arg->sql);
}

static void append_all(struct sq_cx *cx, struct sy_buf *buf, struct sq_expr **args, uint32_t count,
                       bool typed)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            sy_buf_append_str(buf, ", ");
        if (typed)
            append_typed(cx, buf, args[i]);
        else
            sy_buf_append_str(buf, args[i]->sql);
    }
}

/*
 * $1..$9 argument; $c1 with its collation; $t1 its type; $* all arguments; $@ all with their types
 * before them; $R the result type; anything else as it stands.
 */
const char *sq_expand(struct sq_cx *cx, const char *template_, struct sq_expr **args,
                      uint32_t arg_count, uint32_t result_type)
{
    struct sy_buf buf = {0};
    for (const char *p = template_; *p != '\0'; p++) {
        if (*p != '$' || p[1] == '\0') {
            sy_buf_append(&buf, p, 1);
            continue;
        }
        p++;
        bool collated = *p == 'c', typed = *p == 't';
        if (collated || typed)
            p++;
        uint32_t index = *p >= '1' && *p <= '9' ? (uint32_t)(*p - '1') : UINT32_MAX;
        if (*p == '*' || *p == '@')
            append_all(cx, &buf, args, arg_count, *p == '@');
        else if (*p == 'R')
            sy_buf_printf(&buf, "%u", result_type);
        else if (index < arg_count && typed)
            sy_buf_printf(&buf, "%u", args[index]->type);
        else if (index < arg_count)
            sy_buf_append_str(&buf, collated ? sq_collated(cx, args[index]) : args[index]->sql);
        else
            sy_buf_append_str(&buf, "NULL");
    }
    return sq_finish(cx, &buf);
}
