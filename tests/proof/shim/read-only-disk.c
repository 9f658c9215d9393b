// A disk that turns read-only under a running program, without a mount: preloaded, it refuses every change of a
// regular file with EROFS while the file named by PROOF_READ_ONLY_IF exists. A real remount is refused by the kernel
// while files are open for writing, which a database's always are. Standard streams are left alone.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int read_only(void) {
    static const char *flag;
    if (!flag) flag = getenv("PROOF_READ_ONLY_IF");
    int before = errno;
    int is = flag && access(flag, F_OK) == 0;
    errno = before;
    return is;
}

static int refused(int fd) {
    struct stat file;
    if (fd <= 2 || !read_only()) return 0;
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) return 0;
    errno = EROFS;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
    return refused(fd) ? -1 : REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return refused(fd) ? -1 : REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return refused(fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return refused(fd) ? -1 : REAL(writev)(fd, parts, count);
}

int ftruncate(int fd, off_t size) { return refused(fd) ? -1 : REAL(ftruncate)(fd, size); }

int ftruncate64(int fd, off64_t size) { return refused(fd) ? -1 : REAL(ftruncate64)(fd, size); }

int unlink(const char *path) {
    if (!read_only()) return REAL(unlink)(path);
    errno = EROFS;
    return -1;
}

int rename(const char *from, const char *to) {
    if (!read_only()) return REAL(rename)(from, to);
    errno = EROFS;
    return -1;
}
