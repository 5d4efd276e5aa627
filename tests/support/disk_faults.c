/* Preloaded into a writer: its calls on segment files fail as the file DISK_FAULTS says.
 *
 * That holds one int32 a call, in the order of `enum call`: 0 lets it through, an errno refuses it, SHORT
 * writes half of what was asked for and refuses the next.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum call { PWRITE, FDATASYNC, FSYNC, FALLOCATE, FTRUNCATE, CALLS };
#define SHORT (-1)

static const volatile int32_t *faults;
static __thread int was_short;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("DISK_FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, CALLS * sizeof(int32_t), PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (page != MAP_FAILED)
            faults = page;
    }
}

static int fault(enum call call, int fd)
{
    char link[64], path[4096];
    if (!faults || !faults[call])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return 0;
    path[size] = 0;
    return strstr(path, ".tape") ? faults[call] : 0;
}

static int refuse(int error)
{
    errno = error;
    return -1;
}

static ssize_t write_at(const char *name, int fd, const void *data, size_t size, off_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
    int error = fault(PWRITE, fd);
    if (error == SHORT) {
        was_short = !was_short;
        if (!was_short)
            return refuse(ENOSPC);
        return real(fd, data, size / 2 ? size / 2 : 1, offset);
    }
    return error ? refuse(error) : real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return write_at("pwrite", fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return write_at("pwrite64", fd, data, size, offset);
}

static int one(enum call call, const char *name, int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    int error = fault(call, fd);
    return error ? refuse(error) : real(fd);
}

int fdatasync(int fd)
{
    return one(FDATASYNC, "fdatasync", fd);
}

int fsync(int fd)
{
    return one(FSYNC, "fsync", fd);
}

static int allocate(const char *name, int fd, off_t offset, off_t size)
{
    int (*real)(int, off_t, off_t) = dlsym(RTLD_NEXT, name);
    int error = fault(FALLOCATE, fd);
    return error ? error : real(fd, offset, size); /* it returns the error */
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    return allocate("posix_fallocate", fd, offset, size);
}

int posix_fallocate64(int fd, off_t offset, off_t size)
{
    return allocate("posix_fallocate64", fd, offset, size);
}

static int cut(const char *name, int fd, off_t size)
{
    int (*real)(int, off_t) = dlsym(RTLD_NEXT, name);
    int error = fault(FTRUNCATE, fd);
    return error ? refuse(error) : real(fd, size);
}

int ftruncate(int fd, off_t size)
{
    return cut("ftruncate", fd, size);
}

int ftruncate64(int fd, off_t size)
{
    return cut("ftruncate64", fd, size);
}
