/* Where the nonce of unknown users is kept. Main thread, before anybody logs in. */
#include "cli/nonce.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { PATH_BYTES = 4096 };

static bool read_nonce(const char *path, uint8_t ret_nonce[SY_NONCE_BYTES])
{
    uint8_t bytes[SY_NONCE_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool whole = read(fd, bytes, sizeof(bytes)) == SY_NONCE_BYTES;
    close(fd);
    if (whole)
        memcpy(ret_nonce, bytes, SY_NONCE_BYTES);
    return whole;
}

/* Under another name first: a file that was cut short by a crash must not be found. */
static bool write_nonce(const char *path, const uint8_t nonce[SY_NONCE_BYTES])
{
    char fresh[PATH_BYTES + 4];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    (void)unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool good = write(fd, nonce, SY_NONCE_BYTES) == SY_NONCE_BYTES && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    return good && rename(fresh, path) == 0;
}

enum sy_status sy_nonce_load(const char *data_dir, uint8_t ret_nonce[SY_NONCE_BYTES],
                             struct sy_err *err)
{
    char path[PATH_BYTES];
    int bytes = snprintf(path, sizeof(path), "%s/login_nonce", data_dir);
    bool fits = bytes > 0 && (size_t)bytes < sizeof(path);
    if (fits && read_nonce(path, ret_nonce))
        return SY_OK;
    if (RAND_bytes(ret_nonce, SY_NONCE_BYTES) != 1)
        return sy_err_set(err, SY_E_INTERNAL, "no random numbers");
    (void)mkdir(data_dir, 0700); /* the first file of a new installation */
    if (!fits || !write_nonce(path, ret_nonce))
        SY_LOG(SY_LOG_WARN, "the nonce of unknown users lasts until the next restart only",
               SY_KV_STR("file", path), SY_KV_STR("why", strerror(errno)));
    return SY_OK;
}
