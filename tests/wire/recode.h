/* Decodes one message and encodes it again from what was decoded: what the golden traces and the
 * fuzz targets check. */
#ifndef SY_TESTS_WIRE_RECODE_H
#define SY_TESTS_WIRE_RECODE_H

#include "base/buf.h"
#include "base/err.h"

/* A packet without a type byte, its length included. */
SY_MUST_CHECK enum sy_status recode_startup(const char *data, size_t bytes, struct sy_buf *out,
                                            struct sy_err *err);
/* Bodies; `out` gets a whole message. An unknown type gives SY_E_UNSUPPORTED. */
SY_MUST_CHECK enum sy_status recode_frontend(char type, const char *body, size_t bytes,
                                             struct sy_buf *out, struct sy_err *err);
SY_MUST_CHECK enum sy_status recode_backend(char type, const char *body, size_t bytes,
                                            struct sy_buf *out, struct sy_err *err);

#endif
