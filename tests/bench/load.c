/* The load generator of `make bench`, compiled where there is a C compiler: a few microseconds of CPU for each call.
 *
 *     load PORT CLIENTS SECONDS RATE NAME SEED LENIENT    the customers' keys on stdin, one a line; JSON on stdout
 *
 * RATE 0 is a closed loop: each client reserves, commits, reserves again. Any other RATE is an open loop: that many
 * lifecycles begin per second, at random (Poisson), whatever the server does; a lifecycle that finds no free client
 * waits for one, and its reserve is timed from when it was due. load.py does the same in Python.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CALLS_OF_A_RUN 20
#define USERS 50
#define PAUSE_SECONDS 0.02 /* before a call that may be retried goes out again, with its key */
#define PATIENCE_SECONDS 15.0
#define BUFFER 65536

static const char RESERVE[] =
    "{\"subject\":{\"agent\":\"bot\",\"workflow\":\"report\",\"run\":\"%s-%ld\",\"user\":\"user-%ld\",\"step\":%ld},"
    "\"action\":{\"kind\":\"llm.chat\",\"provider\":\"anthropic\",\"model\":\"claude-sonnet-4-5\"},"
    "\"estimate\":{\"input_tokens\":1800,\"max_output_tokens\":900},\"currency\":\"USD\"}";
static const char COMMIT[] =
    "{\"outcome\":\"completed\",\"usage\":{\"input_tokens\":1730,\"cache_read_input_tokens\":1200,"
    "\"output_tokens\":412},\"latency_ms\":1840,\"response_id\":\"msg_000000000000000000000001\"}";

struct client {
    int fd, place, in_commit, busy;
    long number;
    double due;
    const char *secret;
    char sent[2048], got[BUFFER];
    size_t sent_bytes, got_bytes;
};
struct series { float *values; size_t count, room; };

static int port, clients_count, lenient;
static double seconds, rate;
static const char *name;
static char **secrets;
static long secrets_count, turns;
static struct client *clients;
static struct client **idle;
static int idle_count, busy_count;
static struct series reserves, commits;
static long statuses[600], retried, unfinished;
static struct { struct client *client; double at; } *paused; /* all wait equally long, so the first is due first */
static size_t paused_first, paused_end, paused_room;
static double *waiting; /* when lifecycles were due that no client was free for */
static size_t waiting_first, waiting_end, waiting_room;
static int epoll;
static uint64_t random_state;

static void fail(const char *format, ...) {
    va_list given;
    va_start(given, format);
    vfprintf(stderr, format, given);
    va_end(given);
    fputc('\n', stderr);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void *grown(void *old, size_t count, size_t size) {
    void *made = realloc(old, count * size);
    if (!made) fail("out of memory");
    return made;
}

static void note(struct series *series, double value) {
    if (series->count == series->room)
        series->values = grown(series->values, series->room = series->room ? series->room * 2 : 4096, sizeof(float));
    series->values[series->count++] = (float)value;
}

static double gap(void) { /* between two arrivals of a Poisson process: xorshift64*, then the inverse distribution */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    double uniform = (double)((random_state * 2685821657736338717ULL) >> 11) / 9007199254740992.0;
    return -log(1.0 - uniform) / rate;
}

static void connect_client(struct client *client) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client->fd, (struct sockaddr *)&place, sizeof place)) fail("cannot connect: %s", strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event)) fail("epoll: %s", strerror(errno));
}

static void send_again(struct client *client) {
    if (client->fd < 0) connect_client(client); /* the server may hang up on one that was idle */
    for (size_t done = 0; done < client->sent_bytes;) {
        ssize_t part = send(client->fd, client->sent + done, client->sent_bytes - done, MSG_NOSIGNAL);
        if (part < 0) fail("cannot send: %s", strerror(errno));
        done += (size_t)part;
    }
}

static void send_call(struct client *client, const char *path, const char *call, const char *body, int length) {
    int size = snprintf(client->sent, sizeof client->sent,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s-%s-%d-%ld\r\n"
        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        path, client->secret, call, name, client->place, client->number, length, body);
    if (size >= (int)sizeof client->sent) fail("a call is too long");
    client->sent_bytes = (size_t)size;
    send_again(client);
}

static void reserve(struct client *client, double due) {
    char body[1024];
    /* In a closed loop each client walks through the customers by itself, so that all of them are met equally. */
    long turn = rate > 0 ? turns++ : client->number * clients_count + client->place;
    long call = turn / secrets_count, run = call / CALLS_OF_A_RUN;
    client->secret = secrets[turn % secrets_count];
    client->number++;
    client->due = due;
    client->in_commit = 0;
    client->busy = 1;
    busy_count++;
    int length = snprintf(body, sizeof body, RESERVE, name, run, run % USERS, call % CALLS_OF_A_RUN);
    send_call(client, "/v1/reservations", "reserve", body, length);
}

static void end_lifecycle(struct client *client, double at, double until) {
    client->busy = 0;
    busy_count--;
    if (rate > 0 && waiting_first < waiting_end)
        reserve(client, waiting[waiting_first++]);
    else if (rate > 0)
        idle[idle_count++] = client;
    else if (at < until)
        reserve(client, at);
}

static void pause_client(struct client *client, double at) {
    if (paused_end == paused_room)
        paused = grown(paused, paused_room = paused_room ? paused_room * 2 : 1024, sizeof *paused);
    paused[paused_end].client = client;
    paused[paused_end++].at = at + PAUSE_SECONDS;
}

static void answered(struct client *client, const char *body, double until) {
    double at = now();
    int status = atoi(client->got + 9);
    statuses[status > 0 && status < 600 ? status : 0]++;
    client->got_bytes = 0;
    if (status != 200 && status != 201) {
        if (strstr(body, "\"retryable\":true")) {
            retried++;
            if (at < until) return pause_client(client, at);
            unfinished++; /* nobody waits for it any longer */
        } else if (!lenient)
            fail("refused: %.20s %.400s", client->got, body);
        return end_lifecycle(client, at, until);
    }
    note(client->in_commit ? &commits : &reserves, at - client->due);
    if (client->in_commit) return end_lifecycle(client, at, until);
    const char *id = strstr(body, "\"id\":\"");
    if (!id) fail("no id in %.400s", body);
    char path[96];
    snprintf(path, sizeof path, "/v1/reservations/%.36s/commit", id + 6);
    client->in_commit = 1;
    client->due = at;
    send_call(client, path, "commit", COMMIT, sizeof COMMIT - 1);
}

static void receive(struct client *client, double until) {
    ssize_t part = recv(client->fd, client->got + client->got_bytes, BUFFER - 1 - client->got_bytes, 0);
    if (part <= 0) {
        if (client->busy) fail("the server hung up in a call: %s", part ? strerror(errno) : "end of stream");
        close(client->fd);
        client->fd = -1;
        return;
    }
    client->got_bytes += (size_t)part;
    client->got[client->got_bytes] = 0;
    char *end = strstr(client->got, "\r\n\r\n");
    if (!end) return;
    char *length = strcasestr(client->got, "\r\ncontent-length:");
    if (!length || length > end) fail("no content-length in %.400s", client->got);
    size_t whole = (size_t)(end + 4 - client->got) + (size_t)atol(length + 17);
    if (whole >= BUFFER) fail("an answer of %zu bytes", whole);
    if (client->got_bytes >= whole) answered(client, end + 4, until);
}

static void arrive(double due) {
    if (idle_count) return reserve(idle[--idle_count], due);
    if (waiting_end == waiting_room)
        waiting = grown(waiting, waiting_room = waiting_room ? waiting_room * 2 : 4096, sizeof *waiting);
    waiting[waiting_end++] = due;
}

static void read_secrets(void) {
    char line[512];
    long room = 0;
    while (fgets(line, sizeof line, stdin)) {
        if (secrets_count == room) secrets = grown(secrets, (size_t)(room = room ? room * 2 : 64), sizeof *secrets);
        line[strcspn(line, "\n")] = 0;
        secrets[secrets_count++] = strdup(line);
    }
    if (!secrets_count) fail("no customers on stdin");
}

static void set_timer(int timer, double at) { /* epoll_wait's own deadline is a millisecond, too coarse for arrivals */
    struct itimerspec when = {0};
    when.it_value.tv_sec = (time_t)at;
    when.it_value.tv_nsec = (long)((at - (double)(time_t)at) * 1e9) + 1;
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void give_up(double at) { /* what has no answer by now has taken at least this long */
    for (int place = 0; place < clients_count; place++)
        if (clients[place].busy) note(clients[place].in_commit ? &commits : &reserves, at - clients[place].due);
    for (size_t place = waiting_first; place < waiting_end; place++) note(&reserves, at - waiting[place]);
    unfinished += busy_count + (long)(waiting_end - waiting_first);
}

static double run(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    double begun = now(), until = begun + seconds, due = rate > 0 ? begun + gap() : INFINITY, armed = 0;
    for (int place = 0; place < clients_count; place++)
        if (rate > 0) idle[idle_count++] = &clients[place];
        else reserve(&clients[place], now());
    for (;;) {
        double at = now();
        for (; due <= at && due < until; due += gap()) arrive(due);
        for (; paused_first < paused_end && paused[paused_first].at <= at; paused_first++)
            send_again(paused[paused_first].client);
        if (due >= until && !busy_count) return now() - begun;
        if (at > until + PATIENCE_SECONDS) {
            give_up(at);
            return at - begun;
        }
        double wake = due < until ? due : until + PATIENCE_SECONDS + 0.001;
        if (paused_first < paused_end && paused[paused_first].at < wake) wake = paused[paused_first].at;
        if (wake != armed) set_timer(timer, armed = wake);
        int count = epoll_wait(epoll, ready, 256, -1);
        for (int place = 0; place < count; place++) {
            uint64_t expirations;
            if (ready[place].data.ptr) receive(ready[place].data.ptr, until);
            else if (read(timer, &expirations, sizeof expirations) < 0) continue;
        }
    }
}

static void show(const char *label, const struct series *series) {
    printf(", \"%s\": [", label);
    for (size_t place = 0; place < series->count; place++)
        printf("%s%.6f", place ? "," : "", (double)series->values[place]);
    putchar(']');
}

int main(int argc, char **argv) {
    if (argc != 8) fail("usage: load PORT CLIENTS SECONDS RATE NAME SEED LENIENT < keys");
    port = atoi(argv[1]);
    clients_count = atoi(argv[2]);
    seconds = atof(argv[3]);
    rate = atof(argv[4]);
    name = argv[5];
    random_state = strtoull(argv[6], NULL, 10) * 2 + 1;
    lenient = atoi(argv[7]);
    read_secrets();
    epoll = epoll_create1(0);
    clients = calloc((size_t)clients_count, sizeof *clients);
    idle = calloc((size_t)clients_count, sizeof *idle);
    for (int place = 0; place < clients_count; place++) {
        clients[place].place = place;
        connect_client(&clients[place]);
    }
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double taken = run();
    getrusage(RUSAGE_SELF, &after);
    double cpu = (double)(after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec)
        + (double)(after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec - before.ru_stime.tv_usec) * 1e-6;
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"retried\": %ld, \"unfinished\": %ld, \"statuses\": {", taken, cpu,
        retried, unfinished);
    const char *comma = "";
    for (int status = 0; status < 600; status++)
        if (statuses[status]) printf("%s\"%d\": %ld", comma, status, statuses[status]), comma = ", ";
    putchar('}');
    show("reserve", &reserves);
    show("commit", &commits);
    puts("}");
    return 0;
}
