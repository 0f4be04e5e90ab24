/* Runs PostgreSQL statements on an in-memory SQLite through the translator, with a catalog in
 * memory. */
#ifndef SY_TESTS_DIFFERENTIAL_SQLITE_DRIVER_H
#define SY_TESTS_DIFFERENTIAL_SQLITE_DRIVER_H

#include "base/buf.h"

struct driver;

struct driver *driver_new(void);
void driver_free(struct driver **driver);
/* Appends the answer in the format of the recording (without the line of the statement). */
void driver_run(struct driver *driver, const char *sql, struct sy_buf *out);
/* The SQLite text of the last statement, for messages. */
const char *driver_last_sql(const struct driver *driver);

#endif
