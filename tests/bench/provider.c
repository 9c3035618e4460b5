/* A provider that costs next to nothing: one thread, epoll, HTTP/1.1 with keep-alive, loopback only.

   It answers every POST like a chat completion, whole or as a stream, as the body asks for. A text such as
   "scene:d100,g10,n100" anywhere in the body sets the milliseconds before the answer, those between two chunks,
   and their number, so that every gateway carries the scene without knowing of it. GET tells how many calls came. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 65536, MOST_REQUEST = 1 << 20, MOST_CHUNKS = 10000, READ_SIZE = 1 << 16 };

struct buffer { char *bytes; size_t used, size; };

struct scene { long delay, gap, chunks; };

struct conn {
    int fd, streaming, blocked;
    struct buffer in, out;
    size_t sent;
    struct scene scene;
    long chunks_left; /* of a paced stream */
    long long due;    /* ms; 0 when nothing is to come */
};

static struct conn *conns[MOST_FDS];
static int waiting[MOST_FDS], waiting_count;
static int poller;
static long calls;
static struct buffer whole_answer, full_stream;

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "x-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 1\r\ntransfer-encoding: chunked\r\n\r\n";
static const char EVENT[] =
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
static const char LAST_EVENTS[] =
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],"
    "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":100,\"total_tokens\":120}}\n\n"
    "data: [DONE]\n\n";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void append(struct buffer *to, const char *bytes, size_t length) {
    if (to->used + length > to->size) {
        to->size = (to->used + length) * 2;
        to->bytes = realloc(to->bytes, to->size);
        if (to->bytes == NULL) die("realloc");
    }
    memcpy(to->bytes + to->used, bytes, length);
    to->used += length;
}

static void append_chunk(struct buffer *to, const char *bytes, size_t length) {
    char head[32];
    append(to, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", length));
    append(to, bytes, length);
    append(to, "\r\n", 2);
}

static void append_end(struct buffer *to) {
    append_chunk(to, LAST_EVENTS, sizeof LAST_EVENTS - 1);
    append(to, "0\r\n\r\n", 5);
}

static void make_answers(void) {
    char text[512], body[2048], head[512];
    memset(text, 'w', sizeof text);
    int length = snprintf(body, sizeof body,
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,"
        "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"%.*s\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":100,\"total_tokens\":120,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},"
        "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\"}", (int)sizeof text, text);
    int head_length = snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        "x-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 1\r\n\r\n", length);
    append(&whole_answer, head, (size_t)head_length);
    append(&whole_answer, body, (size_t)length);
    append(&full_stream, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    for (int i = 0; i < 100; i++) append_chunk(&full_stream, EVENT, sizeof EVENT - 1);
    append_end(&full_stream);
}

static long long now_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000LL + at.tv_nsec / 1000000;
}

static void hang_up(struct conn *conn) {
    for (int i = 0; i < waiting_count; i++)
        if (waiting[i] == conn->fd) waiting[i--] = waiting[--waiting_count];
    conns[conn->fd] = NULL;
    close(conn->fd);
    free(conn->in.bytes);
    free(conn->out.bytes);
    free(conn);
}

/* 0 when the connection is gone. */
static int flush_out(struct conn *conn) {
    while (conn->sent < conn->out.used) {
        ssize_t wrote = send(conn->fd, conn->out.bytes + conn->sent, conn->out.used - conn->sent, MSG_NOSIGNAL);
        if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (wrote < 0) return hang_up(conn), 0;
        conn->sent += (size_t)wrote;
    }
    int blocked = conn->sent < conn->out.used;
    if (!blocked) conn->sent = conn->out.used = 0;
    struct epoll_event event = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.fd = conn->fd};
    if (conn->blocked != blocked) epoll_ctl(poller, EPOLL_CTL_MOD, conn->fd, &event);
    conn->blocked = blocked;
    return 1;
}

static void wait_for(struct conn *conn, long milliseconds) {
    conn->due = now_ms() + milliseconds;
    waiting[waiting_count++] = conn->fd;
}

/* The next part of an answer that takes its time. */
static void go_on(struct conn *conn) {
    struct scene *scene = &conn->scene;
    conn->due = 0;
    if (!conn->streaming) {
        append(&conn->out, whole_answer.bytes, whole_answer.used);
    } else if (scene->gap == 0 && scene->chunks == 100) {
        append(&conn->out, full_stream.bytes, full_stream.used);
    } else {
        if (conn->chunks_left == scene->chunks) append(&conn->out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        do {
            append_chunk(&conn->out, EVENT, sizeof EVENT - 1);
        } while (--conn->chunks_left > 0 && scene->gap == 0);
        if (conn->chunks_left > 0) wait_for(conn, scene->gap);
        else append_end(&conn->out);
    }
}

static struct scene read_scene(const char *body, size_t length) {
    struct scene scene = {0, 0, 100};
    const char *at = memmem(body, length, "scene:", 6);
    for (at = at ? at + 6 : ""; *at == 'd' || *at == 'g' || *at == 'n'; at += *at == ',') {
        char what = *at;
        long value = strtol(at + 1, (char **)&at, 10);
        if (what == 'd') scene.delay = value;
        if (what == 'g') scene.gap = value;
        if (what == 'n' && value > 0 && value <= MOST_CHUNKS) scene.chunks = value;
    }
    return scene;
}

static void answer(struct conn *conn, const char *body, size_t length) {
    if (conn->in.bytes[0] == 'G') {
        char text[160], count[64];
        int size = snprintf(count, sizeof count, "{\"calls\":%ld}", calls);
        int all = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", size, count);
        append(&conn->out, text, (size_t)all);
        return;
    }
    calls++;
    conn->scene = read_scene(body, length);
    conn->streaming = memmem(body, length, "\"stream\":true", 13) || memmem(body, length, "\"stream\": true", 14);
    conn->chunks_left = conn->scene.chunks;
    if (conn->scene.delay > 0) wait_for(conn, conn->scene.delay);
    else go_on(conn);
}

/* Length of the first whole request in the buffer, with where its body begins; 0 while it is not whole. */
static size_t whole_request(struct conn *conn, size_t *body_at) {
    struct buffer *in = &conn->in;
    char *end = memmem(in->bytes, in->used, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    *body_at = (size_t)(end - in->bytes) + 4;
    char kept = *end;
    *end = 0;
    char *chunked = strcasestr(in->bytes, "\r\ntransfer-encoding: chunked");
    char *length = strcasestr(in->bytes, "\r\ncontent-length:");
    size_t size = length ? strtoul(length + 17, NULL, 10) : 0;
    *end = kept;
    if (chunked) { /* JSON cannot hold a line break of its own, so the last chunk is found by its look */
        char *last = memmem(in->bytes + *body_at, in->used - *body_at, "\r\n0\r\n\r\n", 7);
        return last ? (size_t)(last - in->bytes) + 7 : 0;
    }
    return in->used >= *body_at + size ? *body_at + size : 0;
}

static void serve(struct conn *conn) {
    size_t length, body_at = 0;
    while (conn->due == 0 && (length = whole_request(conn, &body_at)) > 0) {
        answer(conn, conn->in.bytes + body_at, length - body_at);
        conn->in.used -= length;
        memmove(conn->in.bytes, conn->in.bytes + length, conn->in.used);
    }
    flush_out(conn);
}

static void take_bytes(struct conn *conn) {
    static char bytes[READ_SIZE];
    ssize_t got = recv(conn->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || conn->in.used > MOST_REQUEST) {
        hang_up(conn);
        return;
    }
    append(&conn->in, bytes, (size_t)got);
    append(&conn->in, "", 1); /* numbers are read up to what is none */
    conn->in.used--;
    serve(conn);
}

static void take_connections(int listening) {
    int fd, on = 1;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        if (conn == NULL || fd >= MOST_FDS) die("too many connections");
        conn->fd = fd;
        conns[fd] = conn;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Milliseconds until the next part is due; -1 when none is. */
static int run_due(void) {
    long long now = now_ms(), soonest = -1;
    for (int i = 0; i < waiting_count; i++) {
        struct conn *conn = conns[waiting[i]];
        if (conn->due <= now) {
            waiting[i--] = waiting[--waiting_count];
            go_on(conn);
            serve(conn);
        } else if (soonest < 0 || conn->due - now < soonest) {
            soonest = conn->due - now;
        }
    }
    return waiting_count > 0 && soonest < 0 ? 0 : (int)soonest;
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listening, (struct sockaddr *)&address, length) || listen(listening, 4096)) die("listen");
    getsockname(listening, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    make_answers();
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, events[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, 256, run_due());
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) take_connections(fd);
            else if (conns[fd] && (events[i].events & EPOLLOUT) && !flush_out(conns[fd])) continue;
            else if (conns[fd] && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) take_bytes(conns[fd]);
        }
    }
}
