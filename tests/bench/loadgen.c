/* A closed-loop load generator: one thread, epoll, one fixed request.
 *
 * usage: loadgen PORT CONNECTIONS REQUESTS SECONDS REQUEST_FILE [PIPELINE [SPLIT [REPLIES]]]
 *
 * REQUEST_FILE holds the request as it goes on the wire. REPLIES says how replies are framed: le (4-byte little-endian
 * length, the default), be (big-endian) or http (Content-Length). Each connection keeps PIPELINE requests in flight. SPLIT=1 sends
 * prefix and body in two writes and leaves Nagle's algorithm on, as simple clients do. Stops after REQUESTS or SECONDS,
 * whichever comes first, and prints one line of JSON; latencies are in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { PREFIX = 4, ROOM = 1 << 20 };

struct connection {
    int fd;
    char *held;
    size_t size;
    double *sent; /* a ring of send times: replies come in order */
    long first, next;
};

static char request[ROOM];
static size_t request_size;
static long pipeline = 1, split;
static const char *replies = "le";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0) {
            perror("loadgen: send");
            exit(1);
        }
        data += sent;
        size -= sent;
    }
}

/* The size of the first reply that is held, its framing included, or 0 where it is not whole. */
static size_t whole_reply(char *held, size_t size)
{
    uint32_t length;
    if (*replies == 'h') {
        char *end = memmem(held, size, "\r\n\r\n", 4);
        if (!end)
            return 0;
        *end = 0;
        char *field = strcasestr(held, "content-length:");
        *end = '\r';
        length = end - held + 4 + (field ? atol(field + 15) : 0);
    } else {
        if (size < PREFIX)
            return 0;
        memcpy(&length, held, PREFIX);
        length = PREFIX + (*replies == 'b' ? ntohl(length) : length);
    }
    return size < length ? 0 : length;
}

static void issue(struct connection *c)
{
    c->sent[c->next++ % pipeline] = now();
    size_t head = split ? PREFIX : 0;
    send_all(c->fd, request, head);
    send_all(c->fd, request + head, request_size - head);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: loadgen PORT CONNECTIONS REQUESTS SECONDS REQUEST_FILE [PIPELINE [SPLIT [REPLIES]]]\n");
        return 2;
    }
    long connections = atol(argv[2]), total = atol(argv[3]), issued = 0, done = 0;
    double seconds = atof(argv[4]);
    FILE *file = fopen(argv[5], "rb");
    if (!file || !(request_size = fread(request, 1, sizeof request, file))) {
        perror("loadgen: request file");
        return 2;
    }
    pipeline = argc > 6 ? atol(argv[6]) : 1;
    split = argc > 7 ? atol(argv[7]) : 0;
    replies = argc > 8 ? argv[8] : replies;

    struct connection *all = calloc(connections, sizeof *all);
    double *latency = malloc(total * sizeof *latency);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int poll = epoll_create1(0), one = 1;
    for (long i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        c->held = malloc(ROOM + 1);
        c->sent = malloc(pipeline * sizeof *c->sent);
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
            perror("loadgen: connect");
            return 1;
        }
        if (!split)
            setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
    }

    double start = now(), deadline = start + seconds;
    for (long i = 0; i < connections; i++)
        for (long depth = 0; depth < pipeline && issued < total; depth++, issued++)
            issue(&all[i]);
    while (done < total && now() < deadline) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, 200);
        for (int e = 0; e < ready; e++) {
            struct connection *c = events[e].data.ptr;
            ssize_t got = recv(c->fd, c->held + c->size, ROOM - c->size, 0);
            if (got <= 0) {
                fprintf(stderr, "loadgen: the server closed a connection after %ld replies\n", done);
                return 1;
            }
            c->size += got;
            size_t taken = 0, reply;
            while ((reply = whole_reply(c->held + taken, c->size - taken))) {
                taken += reply;
                latency[done++] = now() - c->sent[c->first++ % pipeline];
                if (issued < total) {
                    issued++;
                    issue(c);
                }
            }
            memmove(c->held, c->held + taken, c->size - taken);
            c->size -= taken;
        }
    }
    double elapsed = now() - start;
    if (!done) {
        fprintf(stderr, "loadgen: no reply in %.0f seconds\n", seconds);
        return 1;
    }
    qsort(latency, done, sizeof *latency, ascending);
    printf("{\"done\":%ld,\"seconds\":%.3f,\"rate\":%.0f,\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f}\n", done, elapsed,
           done / elapsed, latency[(done - 1) / 2] * 1e6, latency[(done - 1) * 99 / 100] * 1e6, latency[done - 1] * 1e6);
    return 0;
}
