/*
 * The secret that makes users who do not exist look like those who do: the salt that such a user is
 * shown is derived from it. Kept in data_dir, since a salt that changed at a restart would tell.
 */
#ifndef SY_CLI_NONCE_H
#define SY_CLI_NONCE_H

#include <stdint.h>

#include "base/err.h"

enum { SY_NONCE_BYTES = 32 };

/*
 * Reads the file, or makes it. A folder that cannot be written costs a line in the log: the nonce
 * is then this process's own. Blocks: a small file. Errors: SY_E_INTERNAL (no random numbers).
 */
SY_MUST_CHECK enum sy_status sy_nonce_load(const char *data_dir, uint8_t ret_nonce[SY_NONCE_BYTES],
                                           struct sy_err *err);

#endif
