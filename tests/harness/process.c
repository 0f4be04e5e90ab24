/* Child processes and files; everything fails loudly. */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void sy_harness_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("harness: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(99);
}

static const struct passwd *server_user(void)
{
    if (geteuid() != 0)
        return NULL;
    const struct passwd *user = getpwnam("postgres");
    if (user == NULL)
        sy_harness_die("no user postgres on this machine; is postgresql-15 installed?");
    return user;
}

pid_t sy_process_start(const char *log, const char *const *argv)
{
    const struct passwd *user = server_user();
    pid_t pid = fork();
    if (pid < 0)
        sy_harness_die("fork: %s", strerror(errno));
    if (pid != 0)
        return pid;
    int null = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    if (user != NULL && (initgroups(user->pw_name, user->pw_gid) != 0 ||
                         setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    setenv("LC_ALL", "C.UTF-8", 1);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    closefrom(3);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

void sy_process_run(const char *log, const char *const *argv)
{
    pid_t pid = sy_process_start(log, argv);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            sy_harness_die("waitpid: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        sy_harness_die("%s failed, see %s", argv[0], log);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = '\0';
    const char *end = strrchr(text, ')');
    int parent = 0;
    return end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

void sy_process_signal_tree(pid_t pid, int signal)
{
    DIR *proc = opendir("/proc");
    kill(pid, signal);
    for (struct dirent *entry = proc != NULL ? readdir(proc) : NULL; entry != NULL;
         entry = readdir(proc)) {
        pid_t child = (pid_t)atoi(entry->d_name);
        if (child > 0 && parent_of(child) == pid)
            kill(child, signal);
    }
    if (proc != NULL)
        closedir(proc);
}

void sy_give_file(const char *path)
{
    const struct passwd *user = server_user();
    if (user != NULL && chown(path, user->pw_uid, user->pw_gid) != 0)
        sy_harness_die("chown %s: %s", path, strerror(errno));
}

void sy_make_dir(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        sy_harness_die("mkdir %s: %s", path, strerror(errno));
    sy_give_file(path);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info, (void)type, (void)place;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

void sy_remove_tree(const char *path)
{
    (void)!nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

void sy_write_file(const char *path, const char *text, bool append)
{
    FILE *file = fopen(path, append ? "a" : "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        sy_harness_die("write %s: %s", path, strerror(errno));
}

void sy_pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

bool sy_send_all(int fd, const char *data, size_t bytes)
{
    while (bytes != 0) {
        ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        bytes -= (size_t)sent;
    }
    return true;
}
