/* Disk faults for chosen files, loaded ahead of libc: CHAOS_FAULT_FILE names a file whose content is the fault of the
 * moment ("nospace", "fsync" or nothing). Only files under CHAOS_FAULT_UNDER are struck. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fault_is(const char *wanted) {
    const char *path = getenv("CHAOS_FAULT_FILE");
    char text[16] = "";
    if (!path) return 0;
    long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    long size = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    return size > 0 && strncmp(text, wanted, strlen(wanted)) == 0;
}

static int is_struck(int file) {
    const char *under = getenv("CHAOS_FAULT_UNDER");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (!under || size <= 0) return 0;
    path[size] = 0;
    return strncmp(path, under, strlen(under)) == 0;
}

static int fails(int file, const char *fault, int error) {
    if (!fault_is(fault) || !is_struck(file)) return 0;
    errno = error;
    return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    return fails(file, "nospace", ENOSPC) ? -1 : real(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    return fails(file, "nospace", ENOSPC) ? -1 : real(file, data, size, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    return fails(file, "nospace", ENOSPC) ? -1 : real(file, data, size, at);
}
int fsync(int file) {
    REAL(fsync);
    return fails(file, "fsync", EIO) ? -1 : real(file);
}
int fdatasync(int file) {
    REAL(fdatasync);
    return fails(file, "fsync", EIO) ? -1 : real(file);
}
