/* Giving up what is not needed. */
#include "cli/harden.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef SY_HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "base/log.h"
#include "base/sanitizer.h"

static char summary[128] = "none";

const char *sy_harden_summary(void)
{
    return summary;
}

/* ---- root ---- */

static enum sy_status drop_root(const char *name, struct sy_err *err)
{
    if (name == NULL) {
        if (geteuid() == 0)
            SY_LOG(SY_LOG_WARN, "running as root; set hardening.user to a user without privileges",
                   SY_KV_INT("uid", geteuid()));
        return SY_OK;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL)
        return sy_err_set(err, SY_E_CONFIG, "hardening.user: there is no user \"%s\"", name);
    if (geteuid() != 0) {
        if (geteuid() == entry->pw_uid)
            return SY_OK;
        return sy_err_set(err, SY_E_CONFIG,
                          "hardening.user is \"%s\", and only root can become another user", name);
    }
    if (entry->pw_uid == 0)
        return sy_err_set(err, SY_E_CONFIG, "hardening.user: \"%s\" is root by another name", name);
    if (initgroups(name, entry->pw_gid) != 0 ||
        setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot become user \"%s\": %s", name,
                                strerror(errno));
    if (setuid(0) == 0) /* must not be possible any more */
        return sy_err_set(err, SY_E_IO, "still root after becoming user \"%s\"", name);
    return SY_OK;
}

/* ---- core dumps ---- */

static enum sy_status forbid_core_dumps(struct sy_err *err)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot forbid core dumps: %s",
                                strerror(errno));
    return SY_OK;
}

/* ---- system calls ---- */

#ifdef SY_HAVE_SECCOMP
/* Of no use to a router, of much use to whoever got into one. They fail with EPERM. */
static const int forbidden[] = {
    SCMP_SYS(acct),
    SCMP_SYS(add_key),
    SCMP_SYS(adjtimex),
    SCMP_SYS(bpf),
    SCMP_SYS(chroot),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(clock_settime),
    SCMP_SYS(delete_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fsopen),
    SCMP_SYS(init_module),
    SCMP_SYS(ioperm),
    SCMP_SYS(iopl),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(kexec_load),
    SCMP_SYS(keyctl),
    SCMP_SYS(mount),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(open_tree),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(pivot_root),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(quotactl),
    SCMP_SYS(reboot),
    SCMP_SYS(request_key),
    SCMP_SYS(setdomainname),
    SCMP_SYS(sethostname),
    SCMP_SYS(setns),
    SCMP_SYS(settimeofday),
    SCMP_SYS(swapoff),
    SCMP_SYS(swapon),
    SCMP_SYS(umount2),
    SCMP_SYS(unshare),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(vhangup),
#if !SY_ADDRESS_SANITIZER && !SY_THREAD_SANITIZER
    SCMP_SYS(ptrace), /* the leak checker of a sanitizer build needs it */
#endif
};
static const int forbidden_programs[] = {SCMP_SYS(execve), SCMP_SYS(execveat)};

static bool forbid(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
        if (code != 0 && code != -EDOM) /* unknown to this architecture */
            return false;
    }
    return true;
}

static enum sy_status filter_calls(bool allow_exec, struct sy_err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool good =
        filter != NULL && forbid(filter, forbidden, sizeof(forbidden) / sizeof(forbidden[0]));
    if (good && !allow_exec)
        good = forbid(filter, forbidden_programs,
                      sizeof(forbidden_programs) / sizeof(forbidden_programs[0]));
    good = good && seccomp_load(filter) == 0;
    seccomp_release(filter);
    if (good)
        return SY_OK;
    (void)sy_err_set(err, SY_E_IO, "the kernel refuses the seccomp filter");
    sy_err_hint(err, "Set hardening.seccomp = false where seccomp is not available.");
    return SY_E_IO;
}
#endif

enum sy_status sy_harden(const struct sy_config *config, struct sy_err *err)
{
    const char *filter = "not built in";
    enum sy_status status = drop_root(config->hardening.user, err);
    if (status == SY_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        status =
            sy_err_set_errno(err, SY_E_IO, errno, "cannot set no_new_privs: %s", strerror(errno));
    if (status == SY_OK && !config->hardening.core_dumps)
        status = forbid_core_dumps(err);
#ifdef SY_HAVE_SECCOMP
    filter = config->hardening.seccomp ? "on" : "off";
    if (status == SY_OK && config->hardening.seccomp)
        status = filter_calls(config->hardening.allow_exec, err);
#endif
    snprintf(summary, sizeof(summary), "uid=%u core_dumps=%s seccomp=%s", (unsigned)geteuid(),
             config->hardening.core_dumps ? "allowed" : "off", filter);
    return status;
}
