/* Raw parse, depth guard, pack, unpack. No state of its own. */
#include "parser/protobuf.h"

#include <stdlib.h>

#include "parser/tree.h"

enum sy_status sy_parse_protobuf(struct sy_slice text, PgQuery__ParseResult **ret_result,
                                 struct sy_err *err)
{
    uint8_t *packed = NULL;
    size_t bytes = 0;
    enum sy_status status = sy_tree_pack(text, &packed, &bytes, err);
    if (status != SY_OK)
        return status;
    PgQuery__ParseResult *result = pg_query__parse_result__unpack(NULL, bytes, packed);
    free(packed);
    if (result == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while unpacking a parse tree");
    *ret_result = result;
    return SY_OK;
}

void sy_protobuf_free(PgQuery__ParseResult **result)
{
    if (*result != NULL)
        pg_query__parse_result__free_unpacked(*result, NULL);
    *result = NULL;
}
