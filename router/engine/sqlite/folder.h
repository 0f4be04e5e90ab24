/*
 * A folder of shards belongs to one process: two that write the same files would each answer from
 * what it alone knows. The claim is a lock on a file in the folder, which ends with the process.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_FOLDER_H
#define SY_ROUTER_ENGINE_SQLITE_FOLDER_H

#include "base/err.h"

/*
 * Claims the folder that `path` (a file) is in, once for the whole process; the folder exists.
 * Errors: SY_E_STATE with the other process's number when it holds the folder, SY_E_IO. Thread:
 * under the lock of the registry of shards.
 */
SY_MUST_CHECK enum sy_status sy_sqlite_folder_claim(const char *path, struct sy_err *err);
/* Gives all folders back. */
void sy_sqlite_folders_release(void);

#endif
