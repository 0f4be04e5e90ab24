/* Names of character encodings, compared as PostgreSQL compares them. Pure. */
#ifndef SY_BASE_ENCODING_H
#define SY_BASE_ENCODING_H

#include <stdbool.h>

#include "base/slice.h"

/*
 * Letters and digits count, case does not: "utf-8", "'UTF8'" and "unicode" are one. Source:
 * PostgreSQL, clean_encoding_name (encnames.c), as a fact.
 */
bool sy_encoding_same(struct sy_slice a, struct sy_slice b);

#endif
