/*
 * Numbers, sizes and durations as text: exact, with a range, never a silent wrap. Pure; any thread.
 */
#ifndef SY_BASE_NUMBER_H
#define SY_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SY_NUMBER_TEXT_BYTES = 24 }; /* holds whatever the functions below format */

/*
 * Decimal integers: an optional sign, digits, nothing else (no blanks).
 * Errors: SY_E_TEXT (not a number), SY_E_VALUE (outside least..most; says the range).
 */
SY_MUST_CHECK enum sy_status sy_number_parse_i64(struct sy_slice text, int64_t least, int64_t most,
                                                 int64_t *ret_value, struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_number_parse_u64(struct sy_slice text, uint64_t least,
                                                 uint64_t most, uint64_t *ret_value,
                                                 struct sy_err *err);

/*
 * A size: digits and B, kB, MB, GB or TB (powers of 1024, as PostgreSQL; KB is accepted), blanks
 * allowed in between; only 0 may stand without a unit. Errors: SY_E_TEXT (with a hint), SY_E_VALUE
 * above 2^63 - 1.
 */
SY_MUST_CHECK enum sy_status sy_number_parse_size(struct sy_slice text, uint64_t *ret_bytes,
                                                  struct sy_err *err);
/* A duration: digits and us, ms, s, min, h or d; only 0 may stand without a unit. Errors: as above.
 */
SY_MUST_CHECK enum sy_status sy_number_parse_duration(struct sy_slice text, uint64_t *ret_us,
                                                      struct sy_err *err);

/* The shortest exact form ("64MB", "90s", "0"); buffer of SY_NUMBER_TEXT_BYTES. Returns buffer. */
const char *sy_number_format_size(uint64_t bytes, char buffer[static SY_NUMBER_TEXT_BYTES]);
const char *sy_number_format_duration(uint64_t us, char buffer[static SY_NUMBER_TEXT_BYTES]);

#endif
