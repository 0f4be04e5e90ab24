/* See folder.h. The lock is one of fcntl(): it names its holder, a child process does not inherit
 * it, and it never outlives the process. Its file must not be opened twice: the first close would
 * end the lock. So folders are told apart by device and inode, not by name. */
#include "router/engine/sqlite/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"

static const char lock_name[] = "switchyard.lock";

struct folder {
    struct sy_list link;
    dev_t device;
    ino_t inode;
    int fd;
};

static struct sy_list folders = {&folders, &folders};

static bool is_claimed(const struct stat *st)
{
    sy_list_each(node, &folders)
    {
        const struct folder *folder = sy_container_of(node, struct folder, link);
        if (folder->device == st->st_dev && folder->inode == st->st_ino)
            return true;
    }
    return false;
}

static enum sy_status refuse(const char *name, int fd, struct sy_err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool known = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
    enum sy_status status =
        known ? sy_err_set(err, SY_E_STATE, "process %ld is using the embedded shards in \"%s\"",
                           (long)lock.l_pid, name)
              : sy_err_set(err, SY_E_STATE,
                           "another process is using the embedded shards in \"%s\"", name);
    sy_err_hint(err, "Stop it, or give each router a data_dir of its own.");
    return status;
}

static enum sy_status take(const char *name, int fd, struct sy_err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return SY_OK;
    if (errno == EAGAIN || errno == EACCES)
        return refuse(name, fd, err);
    return sy_err_set_errno(err, SY_E_IO, errno, "cannot lock the folder \"%s\"", name);
}

enum sy_status sy_sqlite_folder_claim(const char *path, struct sy_err *err)
{
    const char *slash = strrchr(path, '/');
    char name[4096], file[4096 + sizeof(lock_name)];
    struct stat st;
    int bytes = slash == NULL   ? snprintf(name, sizeof(name), ".")
                : slash == path ? snprintf(name, sizeof(name), "/")
                                : snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
    if (bytes < 0 || (size_t)bytes >= sizeof(name))
        return sy_err_set(err, SY_E_LIMIT, "the path \"%.60s...\" is too long", path);
    if (stat(name, &st) != 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot look at the folder \"%s\"", name);
    if (is_claimed(&st))
        return SY_OK;
    snprintf(file, sizeof(file), "%s/%s", name, lock_name);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot open \"%s\"", file);
    struct folder *folder = calloc(1, sizeof(*folder));
    enum sy_status status =
        folder == NULL ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory") : take(name, fd, err);
    if (status != SY_OK) {
        free(folder);
        close(fd);
        return status;
    }
    *folder = (struct folder){.device = st.st_dev, .inode = st.st_ino, .fd = fd};
    sy_list_append(&folders, &folder->link);
    return SY_OK;
}

void sy_sqlite_folders_release(void)
{
    while (!sy_list_empty(&folders)) {
        struct folder *folder = sy_container_of(sy_list_pop(&folders), struct folder, link);
        close(folder->fd);
        free(folder);
    }
}
