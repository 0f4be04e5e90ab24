/* Lines of a trace: one message each, escaped, with what changes from run to run masked. */
#ifndef SY_TESTS_WIRE_TRACE_H
#define SY_TESTS_WIRE_TRACE_H

#include "base/buf.h"
#include "base/slice.h"

/* Printable ASCII as it is, a backslash doubled, every other byte as \xHH. */
void trace_escape(struct sy_buf *out, struct sy_slice bytes);
/* False: a damaged escape. */
bool trace_unescape(struct sy_buf *out, struct sy_slice text);

/*
 * A backend message whose unstable fields have fixed values: process ids, keys, the server's
 * version, the OIDs of tables, names of temporary schemas, source lines. Appends the whole message.
 */
void trace_mask(struct sy_buf *out, char type, struct sy_slice body);

#endif
