/* What an answer is read into, and what is counted of all of them. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

enum state { HEAD, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE, WHOLE, BAD };

enum { HEAD_SIZE = 16384, TAIL_SIZE = 64 };

struct conn {
    int fd, status, closes, failed;
    enum state state;
    size_t left; /* of the body, or of the chunk */
    size_t head_length, tail_length, line_length;
    long long asked_at, first_at;
    char head[HEAD_SIZE], tail[TAIL_SIZE];
};

struct times {
    uint32_t *microseconds;
    size_t count, size;
};

struct tally {
    struct times whole, first;
    long good, incomplete, unanswered;
    long long bytes;
    long statuses[600];
};

void die(const char *what);
long long now_us(void);

void begin_answer(struct conn *conn);
/* Non-zero once the answer has ended, WHOLE or BAD. */
int read_answer(struct conn *conn, const char *bytes, size_t length, long long now);
/* Whether the body ends with this, but for white space. */
int tail_is(const struct conn *conn, const char *wanted);

void note(struct tally *tally, const struct conn *conn, int good, long long now);
void print_tally(struct tally *tally, double seconds);

#endif
