/* Counts answers, keeps every time, and prints what came of it. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

long long now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000LL + at.tv_nsec / 1000;
}

static void keep(struct times *times, long long microseconds) {
    if (times->count == times->size) {
        times->size = times->size ? times->size * 2 : 4096;
        times->microseconds = realloc(times->microseconds, times->size * sizeof *times->microseconds);
        if (times->microseconds == NULL) die("realloc");
    }
    times->microseconds[times->count++] = (uint32_t)microseconds;
}

void note(struct tally *tally, const struct conn *conn, int good, long long now) {
    if (!good) {
        tally->incomplete++;
        return;
    }
    tally->statuses[conn->status]++;
    if (conn->status != 200) return;
    tally->good++;
    keep(&tally->whole, now - conn->asked_at);
    keep(&tally->first, (conn->first_at ? conn->first_at : now) - conn->asked_at);
}

static int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void print_times(const char *name, struct times *times) {
    static const double shares[] = {0.5, 0.9, 0.99, 1};
    static const char *const names[] = {"p50", "p90", "p99", "max"};
    qsort(times->microseconds, times->count, sizeof *times->microseconds, by_size);
    printf("\"%s\":{", name);
    for (int i = 0; i < 4 && times->count > 0; i++) {
        size_t at = (size_t)(shares[i] * (double)(times->count - 1));
        printf("%s\"%s\":%u", i ? "," : "", names[i], times->microseconds[at]);
    }
    printf("},");
}

void print_tally(struct tally *tally, double seconds) {
    printf("{\"seconds\":%.3f,\"good\":%ld,\"incomplete\":%ld,\"unanswered\":%ld,\"bytes\":%lld,", seconds,
           tally->good, tally->incomplete, tally->unanswered, tally->bytes);
    print_times("whole", &tally->whole);
    print_times("first", &tally->first);
    printf("\"statuses\":{");
    for (int status = 0, some = 0; status < 600; status++)
        if (tally->statuses[status] > 0) printf("%s\"%d\":%ld", some++ ? "," : "", status, tally->statuses[status]);
    printf("}}\n");
}
