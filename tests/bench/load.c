/* A load of so many connections for so many seconds, or so many requests, at a server on this computer.

   The body comes from standard input. Every connection sends a POST, reads the whole answer and sends the next one. After the
   last second nothing more is sent; what is under way is read to its end and counted, and so is the time this takes,
   because else a server that is slow would be measured by what happened to end in time. Prints one JSON object; times
   are microseconds. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 18, GRACE_US = 20 * 1000000, TOKEN_SIZE = 8192 };

static struct {
    int port, connections, apart;
    long count;
    double seconds;
    const char *path, *tail, *head, *tokens;
} wanted = {.connections = 1, .count = -1, .seconds = 5, .path = "/", .tail = "", .head = ""};

static int poller, alive;
static long asked, under_way, next_token, token_count;
static char **tokens;
static char *before_token, *after_token;
static size_t before_length, after_length, body_length;
static long long started, ends;
static struct tally tally;

void die(const char *what) {
    perror(what);
    exit(1);
}

static char *read_all(FILE *file) {
    size_t used = 0, size = 1 << 16, got;
    char *text = malloc(size);
    if (file == NULL || text == NULL) die("read");
    while ((got = fread(text + used, 1, size - used - 1, file)) > 0) {
        used += got;
        if (used + 1 == size && (text = realloc(text, size *= 2)) == NULL) die("realloc");
    }
    text[used] = 0;
    fclose(file);
    return text;
}

static void prepare(void) {
    char *body = read_all(stdin);
    if (wanted.tokens) {
        char *rest = read_all(fopen(wanted.tokens, "r"));
        for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
            if (*line == 0) continue;
            tokens = realloc(tokens, sizeof *tokens * (size_t)(token_count + 1));
            tokens[token_count++] = line;
        }
    }
    before_length = (size_t)asprintf(
        &before_token, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n%s",
        wanted.path, wanted.port, wanted.head);
    body_length = strlen(body);
    after_length = (size_t)asprintf(&after_token, "content-length: %zu\r\n\r\n%s", body_length, body);
}

static void open_connection(struct conn *conn) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wanted.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

/* Requests are small, so a socket that blocks takes each of them at once. */
static void write_bytes(struct conn *conn, const char *bytes, size_t length) {
    if (send(conn->fd, bytes, length, MSG_NOSIGNAL) < 0) conn->failed = 1;
}

static void ask(struct conn *conn) {
    static char request[1 << 16];
    if (asked == wanted.count || now_us() >= ends) {
        alive--;
        return;
    }
    size_t used = before_length;
    memcpy(request, before_token, before_length);
    if (token_count) {
        const char *token = tokens[next_token++ % token_count];
        used += (size_t)snprintf(request + used, TOKEN_SIZE, "authorization: Bearer %s\r\n", token);
    }
    if (used + after_length > sizeof request) die("request too long");
    memcpy(request + used, after_token, after_length);
    begin_answer(conn);
    asked++;
    under_way++;
    conn->asked_at = now_us();
    size_t length = used + after_length, at_first = wanted.apart ? length - body_length : length;
    write_bytes(conn, request, at_first);
    if (at_first < length) write_bytes(conn, request + at_first, length - at_first);
}

static void close_connection(struct conn *conn) {
    close(conn->fd);
    open_connection(conn);
}

static void finish(struct conn *conn, int whole) {
    long long now = now_us();
    int good = whole && (conn->status != 200 || tail_is(conn, wanted.tail));
    under_way--;
    note(&tally, conn, good, now);
    if (!whole || conn->closes) close_connection(conn);
    ask(conn);
}

static void take_bytes(struct conn *conn) {
    static char bytes[READ_SIZE];
    ssize_t got = recv(conn->fd, bytes, sizeof bytes, 0);
    if (got <= 0) {
        finish(conn, got == 0 && conn->state == UNTIL_CLOSE);
        return;
    }
    tally.bytes += got;
    if (read_answer(conn, bytes, (size_t)got, now_us())) finish(conn, conn->state == WHOLE);
}

static void run(void) {
    struct conn *conns = calloc((size_t)wanted.connections, sizeof *conns);
    if (conns == NULL) die("calloc");
    for (int i = 0; i < wanted.connections; i++) open_connection(&conns[i]);
    started = now_us();
    ends = started + (long long)(wanted.seconds * 1e6);
    alive = wanted.connections;
    for (int i = 0; i < wanted.connections; i++) ask(&conns[i]);
    struct epoll_event events[256];
    while (under_way > 0 && now_us() < ends + GRACE_US) {
        int ready = epoll_wait(poller, events, 256, 100);
        for (int i = 0; i < ready; i++) take_bytes(events[i].data.ptr);
    }
    tally.unanswered = under_way;
    print_tally(&tally, (double)(now_us() - started) / 1e6);
}

static void add_head(const char *line) {
    char *longer;
    if (asprintf(&longer, "%s%s\r\n", wanted.head, line) < 0) die("asprintf");
    wanted.head = longer;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, 0, 'p'},    {"connections", required_argument, 0, 'c'},
        {"seconds", required_argument, 0, 's'}, {"count", required_argument, 0, 'n'},
        {"path", required_argument, 0, 'u'},    {"head", required_argument, 0, 'h'},
        {"tokens", required_argument, 0, 't'},  {"tail", required_argument, 0, 'e'},
        {"apart", no_argument, 0, 'a'},         {"from", required_argument, 0, 'f'},
        {0, 0, 0, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': wanted.port = atoi(optarg); break;
        case 'c': wanted.connections = atoi(optarg); break;
        case 's': wanted.seconds = atof(optarg); break;
        case 'n': wanted.count = atol(optarg); break;
        case 'u': wanted.path = optarg; break;
        case 'h': add_head(optarg); break;
        case 't': wanted.tokens = optarg; break;
        case 'a': wanted.apart = 1; break;
        case 'f': next_token = atol(optarg); break;
        case 'e': wanted.tail = optarg; break;
        default: return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    prepare();
    run();
    return 0;
}
