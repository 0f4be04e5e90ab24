/* Passwords in one form, whatever keyboard typed them. Source: RFC 4013 (SASLprep), RFC 3454. */
#ifndef SY_ROUTER_AUTH_SASLPREP_H
#define SY_ROUTER_AUTH_SASLPREP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/*
 * Appends the prepared password. As PostgreSQL does: ASCII stays as it is, and so does what is not
 * UTF-8, what SASLprep prohibits, and what it would make empty. The caller wipes and releases
 * `out`. Errors: SY_E_NO_MEMORY. Thread: any.
 */
SY_MUST_CHECK enum sy_status sy_saslprep(struct sy_slice password, struct sy_buf *out,
                                         struct sy_err *err);

#endif
