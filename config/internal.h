/* Shared by the files of config/ only: one reading of one file. */
#ifndef SY_CONFIG_INTERNAL_H
#define SY_CONFIG_INTERNAL_H

#include <libconfig.h>
#include <stdbool.h>

#include "config/config.h"
#include "config/keys.h"

struct sy_config_reading {
    const char *name; /* of the file, for messages */
    struct sy_config *config;
    struct sy_buf *problems;
    unsigned problem_count;
    bool no_memory;
};

/* Appends "file:line: text". setting may be NULL: no line. */
void sy_config_problem(struct sy_config_reading *reading, const config_setting_t *setting,
                       const char *format, ...) __attribute__((format(printf, 3, 4)));
void sy_config_set_defaults(struct sy_config_reading *reading, const struct sy_key_row *rows,
                            void *base);

/* Keys whose text fills several fields (offset SIZE_MAX in the table). */
void sy_config_read_special(struct sy_config_reading *reading, const char *key, const char *text,
                            const config_setting_t *setting, void *base);
/* "t" -> public, t; "s.t" -> s, t. */
void sy_config_split_name(struct sy_config_reading *reading, const char *text,
                          const char **ret_schema, const char **ret_name);

/* See widen.c. *ret_too_wide: an integer beyond 64 bits; *ret_includes: an @include directive,
 * which is refused. */
void sy_config_widen_integers(const char *text, struct sy_buf *out, bool *ret_too_wide,
                              bool *ret_includes);

/* Everything that one key can't say: names that must exist, bounds in order, values listed twice.
 */
void sy_config_check(struct sy_config_reading *reading);
/* The same for keyspaces and tables alone, after some were added to a configuration without
 * problems. */
void sy_config_check_declared(struct sy_config_reading *reading);

#endif
