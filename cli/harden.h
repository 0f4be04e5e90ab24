/*
 * What the process gives up before it talks to anybody: root, new privileges, core dumps, system
 * calls that it never needs. Once, on the only thread, after the configuration is read and before
 * anything is started.
 */
#ifndef SY_CLI_HARDEN_H
#define SY_CLI_HARDEN_H

#include "base/err.h"
#include "config/config.h"

/*
 * Becomes `hardening.user` when started as root; sets no_new_privs; forbids core dumps (and with
 * them reading the process's memory) unless they are asked for; loads the seccomp filter where it
 * is built in. Errors: SY_E_CONFIG for a user that does not exist, SY_E_IO when the kernel refuses:
 * then the process must not go on. Thread: the main one, alone.
 */
SY_MUST_CHECK enum sy_status sy_harden(const struct sy_config *config, struct sy_err *err);
/* "user=... seccomp=on ..." for the log. */
const char *sy_harden_summary(void);

#endif
