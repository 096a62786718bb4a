/* A small HTTP/1.1 server for benchmarks of load generators: it answers each request after a fixed delay and
 * notes when each one arrived.
 *
 *   target --delay-ms 20 --arrivals FILE [--stall-at SECONDS --stall-for SECONDS]
 *
 * Prints its port (loopback) as the first line. Keeps connections alive and answers pipelined requests in order.
 *   POST /tickets    201, {"ticket": N, "ok": true} with the next N
 *   GET /tickets/N   200 with that ticket, or 404 when there is none
 *   anything else    200, {"ticket": 123, "ok": true}
 * With --stall-at it neither reads nor answers anything for a while, once, so long after the first request.
 *
 * When its standard input ends it writes the arrivals, 8 bytes each (monotonic nanoseconds, the lowest bit set
 * for a POST), prints what it counted as one JSON line, and exits.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MAX_CONNECTIONS 65536 /* descriptors are indices */
#define MAX_REQUEST 16384     /* head and body */
#define QUEUE (1u << 20)      /* answers that wait for their time; a power of two */
#define MAX_ARRIVALS (1u << 24)
#define EVENTS 512

struct connection {
    uint32_t generation; /* a descriptor comes back for another client: its answers must not */
    uint32_t held;       /* bytes of a request that is not whole yet */
    char *rest;
};

struct answer {
    int64_t due;
    int fd;
    uint32_t generation;
    uint16_t status;
    uint64_t ticket;
};

static struct connection connections[MAX_CONNECTIONS];
static struct answer *queue;
static uint32_t queue_head, queue_tail; /* the delay is the same for all: the oldest is due first */
static int64_t *arrivals;
static uint64_t arrived, answered, unknown_tickets, broken, tickets;
static int64_t delay, stall_at, stall_for, stalled_from, stalled_to;
static int epoll;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void hang_up(int fd) {
    connections[fd].generation++;
    connections[fd].held = 0;
    close(fd);
}

static void enqueue(int fd, int64_t arrival, int status, uint64_t ticket) {
    if (queue_tail - queue_head == QUEUE || arrived == MAX_ARRIVALS) {
        fputs("too many requests for this target's tables\n", stderr);
        exit(1);
    }
    queue[queue_tail++ & (QUEUE - 1)] =
        (struct answer){arrival + delay, fd, connections[fd].generation, (uint16_t)status, ticket};
}

/* Handles one whole request at `at` and returns its length; 0: not whole yet; -1: not one that we understand. */
static int64_t request(int fd, char *at, size_t length) {
    char *end = memmem(at, length, "\r\n\r\n", 4);
    if (!end) return length >= MAX_REQUEST ? -1 : 0;
    size_t whole = (size_t)(end - at) + 4;
    int is_post = at[0] == 'P';
    *end = 0; /* so that the string functions stop at the end of the head */
    if (is_post) {
        char *says = strcasestr(at, "\r\ncontent-length:");
        if (!says) return -1;
        whole += strtoul(says + 17, NULL, 10);
        if (whole > length) {
            *end = '\r';
            return whole > MAX_REQUEST ? -1 : 0;
        }
    } else if (at[0] != 'G') {
        return -1;
    }
    int64_t arrival = now();
    int status = 200;
    uint64_t ticket = 123;
    char *path = strchr(at, ' ');
    if (!path) return -1;
    if (!strncmp(path, " /tickets", 9)) {
        ticket = is_post ? ++tickets : path[9] == '/' ? strtoull(path + 10, NULL, 10) : 0;
        if (is_post) status = 201;
        else if (ticket < 1 || ticket > tickets) status = 404, unknown_tickets++;
    }
    enqueue(fd, arrival, status, ticket);
    arrivals[arrived++] = (arrival & ~1LL) | is_post;
    return (int64_t)whole;
}

static void readable(int fd) {
    static char buffer[2 * MAX_REQUEST + 1];
    struct connection *connection = &connections[fd];
    size_t length = connection->held;
    if (length) memcpy(buffer, connection->rest, length);
    ssize_t got = recv(fd, buffer + length, MAX_REQUEST, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return hang_up(fd);
    length += (size_t)got;
    char *at = buffer;
    while (length) {
        int64_t used = request(fd, at, length);
        if (used < 0) return broken++, hang_up(fd);
        if (!used) break;
        at += used;
        length -= (size_t)used;
    }
    connection->held = (uint32_t)length;
    if (!length) return;
    if (!connection->rest && !(connection->rest = malloc(MAX_REQUEST))) fail("malloc");
    memcpy(connection->rest, at, length);
}

static void send_answer(const struct answer *answer) {
    if (connections[answer->fd].generation != answer->generation) return;
    const char *reason = answer->status == 200 ? "200 OK" : answer->status == 201 ? "201 Created" : "404 Not Found";
    char body[64], text[256];
    int size = snprintf(body, sizeof body, "{\"ticket\": %lu, \"ok\": %s}", (unsigned long)answer->ticket,
                        answer->status == 404 ? "false" : "true");
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Target: holdfast\r\n"
                          "Content-Length: %d\r\n\r\n%s", reason, size, body);
    /* An answer is far smaller than a socket's buffer: who does not take it has gone, or never reads. */
    if (send(answer->fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) != length) {
        broken++;
        hang_up(answer->fd);
        return;
    }
    answered++;
}

static void stall_when_it_is_time(void) {
    if (!stall_for || stalled_from || !arrived || now() < arrivals[0] + stall_at) return;
    int64_t until = arrivals[0] + stall_at + stall_for;
    stalled_from = now();
    struct timespec end = {until / SECOND, until % SECOND};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
    stalled_to = now();
}

static void answer_what_is_due(void) {
    int64_t time = now();
    while (queue_head != queue_tail && queue[queue_head & (QUEUE - 1)].due <= time)
        send_answer(&queue[queue_head++ & (QUEUE - 1)]);
}

/* Waits for events, but not past the next answer or the stall. */
static int wait_for(struct epoll_event *events) {
    int64_t next = INT64_MAX;
    if (queue_head != queue_tail) next = queue[queue_head & (QUEUE - 1)].due;
    if (stall_for && !stalled_from && arrived && arrivals[0] + stall_at < next) next = arrivals[0] + stall_at;
    if (next == INT64_MAX) return epoll_wait(epoll, events, EVENTS, -1);
    int64_t left = next - now();
    if (left < 0) left = 0;
    struct timespec timeout = {left / SECOND, left % SECOND};
    return epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static int listen_on_loopback(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what is accepted inherits it */
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 65535)) fail("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_CONNECTIONS) {
            close(fd);
            broken++;
        } else {
            watch(fd);
        }
    }
}

static void finish(const char *file) {
    FILE *out = fopen(file, "wb");
    if (!out || fwrite(arrivals, sizeof *arrivals, arrived, out) != arrived || fclose(out)) fail(file);
    int64_t first = arrived ? arrivals[0] : 0;
    printf("{\"requests\": %lu, \"answers\": %lu, \"unknown_tickets\": %lu, \"broken\": %lu, "
           "\"stalled_from\": %.6f, \"stalled_to\": %.6f}\n",
           (unsigned long)arrived, (unsigned long)answered, (unsigned long)unknown_tickets, (unsigned long)broken,
           stalled_from ? (double)(stalled_from - first) / SECOND : 0.0,
           stalled_to ? (double)(stalled_to - first) / SECOND : 0.0);
    exit(0);
}

int main(int count, char **words) {
    const char *file = NULL;
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--delay-ms")) delay = (int64_t)(atof(words[i + 1]) * 1e6);
        else if (!strcmp(words[i], "--arrivals")) file = words[i + 1];
        else if (!strcmp(words[i], "--stall-at")) stall_at = (int64_t)(atof(words[i + 1]) * 1e9);
        else if (!strcmp(words[i], "--stall-for")) stall_for = (int64_t)(atof(words[i + 1]) * 1e9);
        else file = NULL, i = count;
    }
    if (!file) {
        fputs("usage: target --delay-ms N --arrivals FILE [--stall-at S --stall-for S]\n", stderr);
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* a timer may be a microsecond late; the default is fifty */
    queue = malloc(QUEUE * sizeof *queue);
    arrivals = mmap(NULL, MAX_ARRIVALS * sizeof *arrivals, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!queue || arrivals == MAP_FAILED) fail("memory");
    epoll = epoll_create1(0);
    int listener = listen_on_loopback();
    watch(listener);
    watch(STDIN_FILENO);
    struct epoll_event events[EVENTS];
    for (;;) {
        stall_when_it_is_time();
        answer_what_is_due();
        int ready = wait_for(events);
        if (ready < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) finish(file);
            else if (fd == listener) accept_all(listener);
            else readable(fd);
        }
    }
}
