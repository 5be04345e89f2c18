/* The physical limit of a prefork server on this machine: blocking processes that parse no JSON.
 *
 * Each frame is answered with {"out":"pong","result":PARAMS}, where PARAMS is copied from behind "params": to the last brace.
 * usage: limit_server PORT PROCESSES
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD "{\"out\":\"pong\",\"result\":"
#define KEY "\"params\":"
enum { PREFIX = 4, HEAD_SIZE = sizeof HEAD - 1, KEY_SIZE = sizeof KEY - 1, ROOM = 1 << 20 };

static char in[ROOM], out[ROOM + HEAD_SIZE];

static void serve(int connection)
{
    size_t held = 0;
    ssize_t got;
    while ((got = recv(connection, in + held, sizeof in - held, 0)) > 0) {
        size_t taken = 0, answered = 0;
        held += got;
        while (held - taken >= PREFIX) {
            uint32_t length;
            memcpy(&length, in + taken, PREFIX);
            if (held - taken < PREFIX + length)
                break;
            char *body = in + taken + PREFIX, *end = body + length - 1;
            char *params = memmem(body, length, KEY, KEY_SIZE);
            size_t size = params ? (size_t)(end - (params + KEY_SIZE)) : 0;
            uint32_t reply = HEAD_SIZE + size + 1;
            char *to = out + answered;
            memcpy(to, &reply, PREFIX);
            memcpy(to + PREFIX, HEAD, HEAD_SIZE);
            if (params)
                memcpy(to + PREFIX + HEAD_SIZE, params + KEY_SIZE, size);
            to[PREFIX + reply - 1] = '}';
            answered += PREFIX + reply;
            taken += PREFIX + length;
        }
        memmove(in, in + taken, held - taken);
        held -= taken;
        if (answered && send(connection, out, answered, MSG_NOSIGNAL) < 0)
            break;
    }
    close(connection);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: limit_server PORT PROCESSES\n");
        return 2;
    }
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("limit_server");
        return 1;
    }
    for (int left = atoi(argv[2]); left > 0; left--)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) {
                int connection = accept(listener, 0, 0);
                if (connection < 0)
                    continue;
                setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                serve(connection);
            }
        }
    while (wait(0) > 0)
        ;
    return 0;
}
