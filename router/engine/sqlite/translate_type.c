/* Types: names to OIDs, coercions as PostgreSQL chooses them, constants converted at translation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

/* Types of PostgreSQL that this engine does not have: refused rather than "does not exist". */
static const char *const foreign_types[] = {
    "money",          "bit",           "varbit",       "inet",
    "cidr",           "macaddr",       "macaddr8",     "xml",
    "point",          "line",          "lseg",         "box",
    "path",           "polygon",       "circle",       "tsvector",
    "tsquery",        "int4range",     "int8range",    "numrange",
    "tsrange",        "tstzrange",     "daterange",    "int4multirange",
    "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange",
    "datemultirange", "pg_lsn",        "jsonpath",     "txid_snapshot",
    "pg_snapshot",    "xid8",          "tid",          "cid",
    "hstore",         "citext",        "refcursor",    "gtsvector",
    "regdictionary"};

struct sq_expr *sq_new(struct sq_cx *cx, uint32_t type, int32_t location, const char *sql)
{
    struct sq_expr *expr = sql == NULL ? NULL : sq_alloc(cx, sizeof(*expr));
    if (expr == NULL)
        return NULL;
    *expr = (struct sq_expr){.sql = sql, .type = type, .typmod = -1, .location = location};
    return expr;
}

const char *sq_type_display(struct sq_cx *cx, uint32_t type)
{
    struct sy_buf buf = {0};
    sy_type_format(type, -1, &buf);
    const char *text = sq_finish(cx, &buf);
    if (type == SY_T_BPCHAR)
        return "character";
    return text == NULL ? "???" : text;
}

bool sq_is_string(uint32_t type)
{
    const struct sy_type_info *info = sy_type_find(type);
    return info != NULL && info->category == 'S';
}

/* ---- names ---- */

static bool typmod_values(struct sq_cx *cx, const PgQuery__TypeName *name, int32_t values[2],
                          size_t *ret_count)
{
    if (name->n_typmods > 2)
        return sq_error(cx, "42601", name->location, "invalid type modifier");
    for (size_t i = 0; i < name->n_typmods; i++) {
        const sq_node *node = name->typmods[i];
        if (node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
            (node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL))
            return sq_error(cx, "42601", name->location,
                            "type modifiers must be simple constants or identifiers");
        values[i] = node->a_const->ival->ival;
    }
    *ret_count = name->n_typmods;
    return true;
}

static bool numeric_typmod(struct sq_cx *cx, const int32_t *values, size_t count, int32_t location,
                           int32_t *ret_typmod)
{
    int32_t precision = values[0], scale = count > 1 ? values[1] : 0;
    if (precision < 1 || precision > 1000)
        return sq_error(cx, "22023", location, "NUMERIC precision %d must be between 1 and 1000",
                        precision);
    if (scale < -1000 || scale > 1000)
        return sq_error(cx, "22023", location, "NUMERIC scale %d must be between -1000 and 1000",
                        scale);
    *ret_typmod = ((precision << 16) | (scale & 0x7ff)) + 4;
    return true;
}

static bool resolve_typmod(struct sq_cx *cx, const PgQuery__TypeName *name, uint32_t type,
                           int32_t *ret_typmod)
{
    int32_t values[2] = {0, 0};
    size_t count = 0;
    *ret_typmod = -1;
    if (name->n_typmods == 0)
        return true;
    if (!typmod_values(cx, name, values, &count))
        return false;
    switch (type) {
    case SY_T_VARCHAR:
    case SY_T_BPCHAR:
        if (values[0] < 1)
            return sq_error(cx, "22023", name->location, "length for type %s must be at least 1",
                            type == SY_T_VARCHAR ? "varchar" : "char");
        if (values[0] > 10485760)
            return sq_error(cx, "22023", name->location,
                            "length for type %s cannot exceed 10485760",
                            type == SY_T_VARCHAR ? "varchar" : "char");
        *ret_typmod = values[0] + 4;
        return true;
    case SY_T_NUMERIC:
        return numeric_typmod(cx, values, count, name->location, ret_typmod);
    case SY_T_TIME:
    case SY_T_TIMETZ:
    case SY_T_TIMESTAMP:
    case SY_T_TIMESTAMPTZ:
        *ret_typmod = values[0] > 6 ? 6 : values[0];
        return true;
    case SY_T_INTERVAL: {
        int32_t precision = count > 1 ? (values[1] > 6 ? 6 : values[1]) : 0xffff;
        *ret_typmod = (values[0] << 16) | precision;
        if (values[0] == 0x7fff && precision == 0xffff)
            *ret_typmod = -1;
        return true;
    }
    default:
        return sq_error(cx, "42601", name->location, "type modifier is not allowed for type \"%s\"",
                        sq_type_display(cx, type));
    }
}

bool sq_type_name(struct sq_cx *cx, const PgQuery__TypeName *name, uint32_t *ret_type,
                  int32_t *ret_typmod)
{
    const char *base = name->n_names == 0 ? NULL : sq_str(name->names[name->n_names - 1]);
    const char *schema = name->n_names > 1 ? sq_str(name->names[name->n_names - 2]) : NULL;
    if (base == NULL || name->pct_type || name->setof)
        return sq_unsupported(cx, name->location, "this type name is not supported") != NULL;
    const struct sy_type_info *info =
        schema == NULL || strcmp(schema, "pg_catalog") == 0 ? sy_type_find_name(base) : NULL;
    if (info == NULL || (info->category == 'P' && info->oid != SY_T_RECORD)) {
        for (size_t i = 0; i < sizeof(foreign_types) / sizeof(foreign_types[0]); i++)
            if (strcmp(foreign_types[i], base) == 0)
                return sq_unsupported(cx, name->location,
                                      "type %s is not supported by the sqlite engine",
                                      base) != NULL;
        return sq_error(cx, "42704", name->location, "type \"%s\" does not exist", base);
    }
    if (!resolve_typmod(cx, name, info->oid, ret_typmod))
        return false;
    *ret_type = info->oid;
    if (name->n_array_bounds > 0) {
        if (info->array == 0 || sy_type_find(info->array) == NULL)
            return sq_unsupported(cx, name->location, "type %s[] is not supported", base) != NULL;
        *ret_type = info->array;
    }
    return true;
}

/* ---- literals ---- */

static const char *literal_sql(struct sq_cx *cx, const struct sy_sqvalue *value)
{
    switch (value->kind) {
    case SY_SQ_NULL:
        return "NULL";
    case SY_SQ_INTEGER:
        if (value->integer == INT64_MIN)
            return "(-9223372036854775807-1)";
        return value->integer < 0 ? sq_printf(cx, "(%lld)", (long long)value->integer)
                                  : sq_printf(cx, "%lld", (long long)value->integer);
    case SY_SQ_REAL: {
        char text[64];
        if (value->real > 1.7976931348623157e308)
            return "9e999";
        if (value->real < -1.7976931348623157e308)
            return "(-9e999)";
        (void)snprintf(text, sizeof(text), "%.17g", value->real);
        bool plain = strpbrk(text, ".e") == NULL;
        return sq_printf(cx, value->real < 0 ? "(%s%s)" : "%s%s", text, plain ? ".0" : "");
    }
    case SY_SQ_TEXT:
        if (memchr(value->bytes.data, '\0', value->bytes.bytes) != NULL)
            return sq_error_null(cx, "22021", -1,
                                 "invalid byte sequence for encoding \"UTF8\": 0x00");
        return sq_string(cx, value->bytes.data, value->bytes.bytes);
    case SY_SQ_BLOB: {
        struct sy_buf buf = {0};
        sy_buf_append_str(&buf, "X'");
        for (size_t i = 0; i < value->bytes.bytes; i++)
            sy_buf_printf(&buf, "%02x", (unsigned char)value->bytes.data[i]);
        sy_buf_append_str(&buf, "'");
        return sq_finish(cx, &buf);
    }
    }
    return NULL;
}

struct sq_expr *sq_literal_typed(struct sq_cx *cx, const char *text, uint32_t type, int32_t typmod,
                                 int32_t location, bool explicit_cast)
{
    struct sy_sqvalue value = {0};
    struct sy_err *err = cx->err;
    (void)explicit_cast;
    enum sy_status status = sy_type_decode(type, typmod, 0, sy_slice_of(text), cx->input->settings,
                                           cx->arena, &value, err);
    if (status != SY_OK) {
        if (err != NULL && err->position == 0 && cx->view_depth == 0 && location >= 0) {
            int position = 1;
            for (int32_t i = 0; i < location && (size_t)i < cx->input->text.bytes; i++)
                position += ((unsigned char)cx->input->text.data[i] & 0xc0) != 0x80;
            err->position = position;
        }
        return NULL;
    }
    struct sq_expr *expr = sq_new(cx, type, location, literal_sql(cx, &value));
    if (expr == NULL)
        return NULL;
    expr->kind = SQ_CONSTANT;
    expr->typmod = typmod;
    expr->not_null = true;
    return expr;
}

/* ---- coercion ---- */

static const struct sq_cast *find_cast(uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < sq_cast_count; i++)
        if (sq_casts[i].source == from && sq_casts[i].target == to)
            return &sq_casts[i];
    return NULL;
}

static bool polymorphic(uint32_t type)
{
    return type == SY_T_ANY || type == SY_T_ANYELEMENT || type == 5077 || type == 2776 ||
           type == 5079;
}

bool sq_can_coerce(uint32_t from, uint32_t to, char context)
{
    if (to == 2776 && sy_type_find(from) != NULL && sy_type_find(from)->element != 0)
        return false; /* anynonarray */
    if (from == to || from == SY_T_UNKNOWN || from == 0 || polymorphic(to))
        return true;
    const struct sy_type_info *source = sy_type_find(from), *target = sy_type_find(to);
    if (to == SY_T_ANYARRAY || to == 5078)
        return source != NULL && source->element != 0;
    if (source == NULL || target == NULL)
        return false;
    const struct sq_cast *cast = find_cast(from, to);
    if (cast != NULL && (from != to))
        return cast->context == 'i' || (cast->context == 'a' && context != 'i') || context == 'e';
    /* Vectors become arrays, arrays do not become vectors. */
    bool vector = to == SY_T_INT2VECTOR || to == SY_T_OIDVECTOR;
    if (source->element != 0 && target->element != 0 && source->category == 'A' &&
        target->category == 'A' && !vector)
        return sq_can_coerce(source->element, target->element, context);
    if (context != 'i' && target->category == 'S')
        return source->category != 'P' || from == SY_T_RECORD;
    return context == 'e' && source->category == 'S' && target->category != 'P';
}

static struct sq_expr *apply_typmod(struct sq_cx *cx, struct sq_expr *expr, int32_t typmod,
                                    bool explicit_cast)
{
    if (expr == NULL || typmod < 0 || expr->typmod == typmod)
        return expr;
    struct sq_expr *out = sq_new(cx, expr->type, expr->location,
                                 sq_printf(cx, "sy_typmod(%s, %u, %d, %d)", expr->sql, expr->type,
                                           typmod, explicit_cast ? 1 : 0));
    if (out != NULL) {
        out->typmod = typmod;
        out->not_null = expr->not_null;
    }
    return out;
}

static struct sq_expr *coerce_unknown(struct sq_cx *cx, struct sq_expr *expr, uint32_t type,
                                      int32_t typmod, bool explicit_cast)
{
    struct sq_expr *out = NULL;
    if (expr->kind == SQ_PARAM) {
        cx->param_types[expr->param - 1] = type;
        out = sq_new(cx, type, expr->location, expr->sql);
        if (out != NULL) {
            out->kind = SQ_PARAM;
            out->param = expr->param;
        }
    } else if (expr->literal == NULL && expr->kind == SQ_LITERAL) {
        out = sq_new(cx, type, expr->location, "NULL");
        if (out != NULL)
            out->kind = SQ_CONSTANT;
        return out;
    } else if (expr->kind == SQ_LITERAL) {
        bool in_input = type == SY_T_INTERVAL || !explicit_cast;
        int32_t location = expr->location;
        out = sq_literal_typed(cx, expr->literal, type,
                               in_input && type == SY_T_INTERVAL ? typmod : -1, location,
                               explicit_cast);
    } else {
        out = sq_new(cx, type, expr->location,
                     sq_printf(cx, "sy_cast(%s, %d, %u, -1)", expr->sql, SY_T_TEXT, type));
    }
    return apply_typmod(cx, out, typmod, explicit_cast);
}

/* Integer constants change type without a call. */
static const char *fold_constant(struct sq_cx *cx, const struct sq_expr *expr, uint32_t type)
{
    if (expr->kind != SQ_CONSTANT || (expr->type != SY_T_INT4 && expr->type != SY_T_INT8) ||
        expr->sql[0] == 'N')
        return NULL;
    const char *digits = expr->sql[0] == '('
                             ? sq_printf(cx, "%.*s", (int)strlen(expr->sql) - 2, expr->sql + 1)
                             : expr->sql;
    if (digits == NULL || strchr(digits + 1, '-') != NULL)
        return NULL;
    if (type == SY_T_NUMERIC)
        return sq_printf(cx, "'%s'", digits);
    if (type == SY_T_FLOAT8)
        return sq_printf(cx, "(%s.0)", digits);
    if (type == SY_T_INT8)
        return expr->sql;
    return NULL;
}

static struct sq_expr *coerce_call(struct sq_cx *cx, struct sq_expr *expr, uint32_t type)
{
    const struct sq_cast *cast = find_cast(expr->type, type);
    const char *sql = fold_constant(cx, expr, type);
    bool constant = sql != NULL;
    if (sql == NULL && cast != NULL && cast->method == 'b')
        sql = expr->sql;
    if (sql == NULL && cast != NULL && cast->method == 'f') {
        const char *template_ = sq_template_find(cast->key);
        struct sq_expr *args[1] = {expr};
        if (template_ == NULL)
            return sq_unsupported(cx, expr->location,
                                  "the cast from %s to %s is not supported by the sqlite engine",
                                  sq_type_display(cx, expr->type), sq_type_display(cx, type));
        sql = sq_expand(cx, template_, args, 1, type);
    }
    if (sql == NULL)
        sql = sq_printf(cx, "sy_cast(%s, %u, %u, -1)", expr->sql, expr->type, type);
    struct sq_expr *out = sq_new(cx, type, expr->location, sql);
    if (out != NULL) {
        out->not_null = expr->not_null;
        out->kind = constant ? SQ_CONSTANT : SQ_PLAIN;
    }
    return out;
}

struct sq_expr *sq_coerce(struct sq_cx *cx, struct sq_expr *expr, uint32_t type, int32_t typmod,
                          char context, int32_t location)
{
    if (expr == NULL)
        return NULL;
    if (polymorphic(type) || type == SY_T_ANYARRAY || type == 5078) {
        if (expr->type == SY_T_UNKNOWN)
            return type == SY_T_ANYARRAY ? coerce_unknown(cx, expr, SY_T_TEXT_ARRAY, -1, false)
                                         : sq_settle(cx, expr);
        return expr;
    }
    if (expr->type == SY_T_UNKNOWN)
        return coerce_unknown(cx, expr, type, typmod, context == 'e');
    if (expr->kind == SQ_RECORD && type != SY_T_RECORD)
        expr = sq_record_settle(cx, expr);
    if (expr == NULL || (expr->type == type && (typmod < 0 || expr->typmod == typmod)))
        return expr;
    if (expr->type == type)
        return apply_typmod(cx, expr, typmod, context == 'e');
    if (!sq_can_coerce(expr->type, type, context))
        return sq_error_null(cx, "42846", location, "cannot cast type %s to %s",
                             sq_type_display(cx, expr->type), sq_type_display(cx, type));
    return apply_typmod(cx, coerce_call(cx, expr, type), typmod, context == 'e');
}

struct sq_expr *sq_coerce_assign(struct sq_cx *cx, struct sq_expr *expr,
                                 const struct sy_sqcolumn *column)
{
    if (expr == NULL)
        return NULL;
    if (!sq_can_coerce(expr->type, column->type, 'a')) {
        void *none = sq_error_null(
            cx, "42804", expr->location, "column \"%s\" is of type %s but expression is of type %s",
            column->name, sq_type_display(cx, column->type), sq_type_display(cx, expr->type));
        sy_err_hint(cx->err, "You will need to rewrite or cast the expression.");
        return none;
    }
    return sq_coerce(cx, expr, column->type, column->typmod, 'a', expr->location);
}

static bool prefer(uint32_t candidate, uint32_t current)
{
    const struct sy_type_info *info = sy_type_find(current);
    return (info == NULL || !info->preferred) && sq_can_coerce(current, candidate, 'i') &&
           !sq_can_coerce(candidate, current, 'i');
}

uint32_t sq_common_type(struct sq_cx *cx, struct sq_expr **exprs, uint32_t count, const char *what)
{
    uint32_t type = SY_T_UNKNOWN;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = exprs[i]->type;
        if (next == SY_T_UNKNOWN || next == type)
            continue;
        const struct sy_type_info *a = sy_type_find(type), *b = sy_type_find(next);
        if (type == SY_T_UNKNOWN)
            type = next;
        else if (a == NULL || b == NULL || a->category != b->category) {
            (void)sq_error(cx, "42804", exprs[i]->location, "%s types %s and %s cannot be matched",
                           what, sq_type_display(cx, type), sq_type_display(cx, next));
            return 0;
        } else if (prefer(next, type))
            type = next;
    }
    if (type == SY_T_UNKNOWN)
        type = SY_T_TEXT;
    for (uint32_t i = 0; i < count; i++)
        if (!sq_can_coerce(exprs[i]->type, type, 'i')) {
            (void)sq_error(cx, "42846", exprs[i]->location, "%s could not convert type %s to %s",
                           what, sq_type_display(cx, exprs[i]->type), sq_type_display(cx, type));
            return 0;
        }
    return type;
}

struct sq_expr *sq_coerce_bool(struct sq_cx *cx, struct sq_expr *expr, const char *what)
{
    if (expr == NULL)
        return NULL;
    if (expr->type != SY_T_BOOL && expr->type != SY_T_UNKNOWN)
        return sq_error_null(cx, "42804", expr->location,
                             "argument of %s must be type boolean, not type %s", what,
                             sq_type_display(cx, expr->type));
    return sq_coerce(cx, expr, SY_T_BOOL, -1, 'i', expr->location);
}

const char *sq_collated(struct sq_cx *cx, const struct sq_expr *expr)
{
    const struct sy_type_info *info = sy_type_find(expr->type);
    if (info == NULL || info->collation == NULL || strcmp(expr->sql, "NULL") == 0)
        return expr->sql;
    return sq_printf(cx, "%s COLLATE %s", expr->sql, info->collation);
}

struct sq_expr *sq_settle(struct sq_cx *cx, struct sq_expr *expr)
{
    if (expr == NULL)
        return NULL;
    if (expr->kind == SQ_RECORD)
        return sq_record_settle(cx, expr);
    if (expr->type == SY_T_UNKNOWN)
        return sq_coerce(cx, expr, SY_T_TEXT, -1, 'i', expr->location);
    return expr;
}
