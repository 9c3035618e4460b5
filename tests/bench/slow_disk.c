/* A disk that takes longer: every flush of the process that this is loaded into (LD_PRELOAD) is made as always, and then
   takes so many milliseconds more (SLOW_DISK_MS). What another thread does goes on meanwhile, as with a disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef int flush(int);

static struct timespec added;
static flush *fdatasync_below, *fsync_below;

__attribute__((constructor)) static void begin(void) {
    const char *told = getenv("SLOW_DISK_MS");
    double milliseconds = told ? atof(told) : 0;
    added.tv_sec = (time_t)(milliseconds / 1000);
    added.tv_nsec = (long)((milliseconds - 1000.0 * (double)added.tv_sec) * 1e6);
    fdatasync_below = (flush *)dlsym(RTLD_NEXT, "fdatasync");
    fsync_below = (flush *)dlsym(RTLD_NEXT, "fsync");
}

static int slowly(flush *below, int file) {
    int answer = below(file), why = errno;
    struct timespec left = added;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
    errno = why;
    return answer;
}

int fdatasync(int file) { return slowly(fdatasync_below, file); }

int fsync(int file) { return slowly(fsync_below, file); }
