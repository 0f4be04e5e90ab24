/* Looking relations up in what a federating database offers. */
#include "router/plan/federation.h"

#include <stdlib.h>
#include <string.h>

static int compare_slices(struct sy_slice a, struct sy_slice b)
{
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = bytes == 0 ? 0 : memcmp(a.data, b.data, bytes);
    if (order != 0 || a.bytes == b.bytes)
        return order;
    return a.bytes < b.bytes ? -1 : 1;
}

int sy_federation_compare(const void *a, const void *b)
{
    const struct sy_federation_relation *left = a, *right = b;
    int order = compare_slices(left->schema, right->schema);
    return order != 0 ? order : compare_slices(left->name, right->name);
}

static bool has(const struct sy_federation_relation *list, uint32_t count, struct sy_slice schema,
                struct sy_slice name)
{
    struct sy_federation_relation wanted = {schema, name};
    return count > 0 &&
           bsearch(&wanted, list, count, sizeof(wanted), sy_federation_compare) != NULL;
}

bool sy_federation_has(const struct sy_federation *federation, struct sy_slice schema,
                       struct sy_slice name)
{
    return has(federation->relations, federation->relation_count, schema, name);
}

bool sy_federation_has_function(const struct sy_federation *federation, struct sy_slice schema,
                                struct sy_slice name)
{
    return has(federation->functions, federation->function_count, schema, name);
}
