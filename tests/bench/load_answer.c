/* Reads HTTP/1.1 answers, as little of them as must be known to find their end. */
#define _GNU_SOURCE
#include "load.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void begin_answer(struct conn *conn) {
    conn->state = HEAD;
    conn->status = conn->closes = conn->failed = 0;
    conn->head_length = conn->tail_length = conn->line_length = conn->left = 0;
    conn->first_at = 0;
}

static void read_head(struct conn *conn) {
    char *chunked = strcasestr(conn->head, "\r\ntransfer-encoding: chunked");
    char *length = strcasestr(conn->head, "\r\ncontent-length:");
    conn->status = conn->head_length > 12 ? atoi(conn->head + 9) : 0;
    conn->closes = strcasestr(conn->head, "\r\nconnection: close") != NULL;
    if (conn->status < 200 || conn->status > 599) conn->state = BAD;
    else if (chunked) conn->state = CHUNK_SIZE;
    else if (length == NULL) conn->state = UNTIL_CLOSE;
    else if ((conn->left = strtoul(length + 17, NULL, 10)) > 0) conn->state = LENGTH;
    else conn->state = WHOLE;
    conn->line_length = conn->tail_length = 0;
}

/* Bytes taken: those of the head, up to its empty line. */
static size_t take_head(struct conn *conn, const char *bytes, size_t length) {
    size_t before = conn->head_length, room = HEAD_SIZE - 1 - before;
    size_t taken = length < room ? length : room;
    memcpy(conn->head + before, bytes, taken);
    conn->head[before + taken] = 0;
    size_t from = before > 3 ? before - 3 : 0;
    char *end = memmem(conn->head + from, before + taken - from, "\r\n\r\n", 4);
    if (end == NULL) {
        conn->head_length += taken;
        if (taken == room) conn->state = BAD;
        return taken;
    }
    conn->head_length = (size_t)(end - conn->head) + 4;
    conn->head[conn->head_length] = 0;
    read_head(conn);
    return conn->head_length - before;
}

static void keep_tail(struct conn *conn, const char *bytes, size_t length) {
    if (length >= TAIL_SIZE) {
        memcpy(conn->tail, bytes + length - TAIL_SIZE, TAIL_SIZE);
        conn->tail_length = TAIL_SIZE;
        return;
    }
    size_t kept = conn->tail_length + length > TAIL_SIZE ? TAIL_SIZE - length : conn->tail_length;
    memmove(conn->tail, conn->tail + conn->tail_length - kept, kept);
    memcpy(conn->tail + kept, bytes, length);
    conn->tail_length = kept + length;
}

static size_t take_body(struct conn *conn, const char *bytes, size_t length, long long now) {
    size_t taken = conn->state == UNTIL_CLOSE || length < conn->left ? length : conn->left;
    if (conn->first_at == 0) conn->first_at = now;
    keep_tail(conn, bytes, taken);
    if (conn->state == UNTIL_CLOSE) return taken;
    conn->left -= taken;
    if (conn->left == 0) conn->state = conn->state == LENGTH ? WHOLE : CHUNK_END;
    return taken;
}

/* The lines between chunks, a byte at a time. */
static void take_line(struct conn *conn, char byte) {
    if (byte == '\r') return;
    if (byte != '\n') {
        int digit = isdigit(byte) ? byte - '0' : tolower(byte) - 'a' + 10;
        if (conn->state == CHUNK_SIZE) conn->left = conn->left * 16 + (size_t)digit;
        conn->line_length++;
        return;
    }
    if (conn->state == CHUNK_END) conn->state = CHUNK_SIZE;
    else if (conn->state == TRAILER) conn->state = conn->line_length == 0 ? WHOLE : TRAILER;
    else conn->state = conn->left > 0 ? CHUNK : TRAILER;
    conn->line_length = 0;
}

int read_answer(struct conn *conn, const char *bytes, size_t length, long long now) {
    while (length > 0 && conn->state != WHOLE && conn->state != BAD) {
        size_t taken = 1;
        if (conn->state == HEAD) taken = take_head(conn, bytes, length);
        else if (conn->state == LENGTH || conn->state == CHUNK || conn->state == UNTIL_CLOSE)
            taken = take_body(conn, bytes, length, now);
        else take_line(conn, *bytes);
        bytes += taken;
        length -= taken;
    }
    return conn->state == WHOLE || conn->state == BAD;
}

int tail_is(const struct conn *conn, const char *wanted) {
    size_t end = conn->tail_length, length = strlen(wanted);
    while (end > 0 && isspace((unsigned char)conn->tail[end - 1])) end--;
    return end >= length && memcmp(conn->tail + end - length, wanted, length) == 0;
}
