/*
 * Fetches plain-c://HOST:PORT/PATH by HTTP/1.0: a whole fetch source of Packets in C.
 *
 *   cc -shared -fPIC -O2 -I../../include -o plugin.so plugin.c
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "packets_plugin.h"

static const char SCHEME[] = "plain-c://";
#define IDLE_SECONDS 20
#define HEAD_BYTES 8192

struct packets_source {
    int unused; /* It keeps nothing: all of its calls may come at once. */
};

struct packets_stream {
    int socket;
    uint64_t left;               /* Bytes that are still to come. */
    char head[HEAD_BYTES];       /* The reply's head, and the first of its bytes. */
    size_t filled, next;
};

struct place {
    char host[256], port[6], path[2048];
};

static packets_text text(const char *words) {
    packets_text made = {words, strlen(words)};
    return made;
}

static int32_t fail(const packets_call *call, int32_t status, const char *words) {
    call->explain(call->host, text(words), 0);
    return status;
}

/* Copies size bytes that are printable ASCII without spaces. */
static int copy(char *into, size_t room, const char *from, size_t size) {
    if (size == 0 || size >= room) return 0;
    for (size_t at = 0; at < size; at++) {
        if (from[at] <= ' ' || from[at] > '~') return 0;
    }
    memcpy(into, from, size);
    into[size] = 0;
    return 1;
}

static int parse(packets_text location, struct place *place) {
    size_t scheme = sizeof SCHEME - 1;
    if (location.size <= scheme || memcmp(location.data, SCHEME, scheme) != 0) return 0;
    const char *at = location.data + scheme, *end = location.data + location.size;
    const char *path = memchr(at, '/', (size_t)(end - at));
    const char *colon = memchr(at, ':', (size_t)(end - at));
    if (path == NULL || colon == NULL || colon > path) return 0;
    return copy(place->host, sizeof place->host, at, (size_t)(colon - at)) &&
           copy(place->port, sizeof place->port, colon + 1, (size_t)(path - colon - 1)) &&
           copy(place->path, sizeof place->path, path, (size_t)(end - path));
}

static int connect_to(const struct place *place) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *one;
    if (getaddrinfo(place->host, place->port, &hints, &found) != 0) return -1;
    int sock = -1;
    for (one = found; one != NULL && sock < 0; one = one->ai_next) {
        struct timeval idle = {IDLE_SECONDS, 0};
        sock = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
        if (sock < 0) continue;
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
        if (connect(sock, one->ai_addr, one->ai_addrlen) != 0) {
            close(sock);
            sock = -1;
        }
    }
    freeaddrinfo(found);
    return sock;
}

static int send_all(int sock, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(sock, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 1;
}

static ssize_t receive(int sock, void *into, size_t room) {
    ssize_t came;
    do came = recv(sock, into, room, 0);
    while (came < 0 && errno == EINTR);
    return came;
}

/* Reads until the empty line. Returns where the body begins, or 0. */
static size_t read_head(packets_stream *stream) {
    while (stream->filled + 1 < sizeof stream->head) {
        ssize_t came = receive(stream->socket, stream->head + stream->filled, sizeof stream->head - 1 - stream->filled);
        if (came <= 0) return 0;
        stream->filled += (size_t)came;
        stream->head[stream->filled] = 0;
        char *end = strstr(stream->head, "\r\n\r\n");
        if (end != NULL) return (size_t)(end - stream->head) + 4;
    }
    return 0;
}

/* The number of Content-Length; PACKETS_UNKNOWN where there is none. */
static uint64_t length_of(const char *head, size_t size) {
    static const char NAME[] = "\ncontent-length:";
    for (size_t at = 0; at + sizeof NAME < size; at++) {
        if (strncasecmp(head + at, NAME, sizeof NAME - 1) == 0) return strtoull(head + at + sizeof NAME - 1, NULL, 10);
    }
    return PACKETS_UNKNOWN;
}

static int32_t status_of(const packets_call *call, int status, uint64_t offset) {
    if (status == (offset > 0 ? 206 : 200)) return PACKETS_OK;
    if (offset > 0 && (status == 200 || status == 416)) return PACKETS_NO_SUCH_RANGE;
    switch (status) {
    case 404:
    case 410:
        return fail(call, PACKETS_NOT_FOUND, "the server does not have it");
    case 401:
    case 403:
        return fail(call, PACKETS_DENIED, "the server refuses it");
    default:
        return fail(call, status >= 500 ? PACKETS_UNREACHABLE : PACKETS_PROTOCOL, "the server answers something else");
    }
}

static void close_stream(packets_stream *stream) {
    if (stream->socket >= 0) close(stream->socket);
    free(stream);
}

/* Asks for the rest from offset on, and reads the reply's head. */
static int32_t ask(const packets_call *call, packets_stream *stream, const struct place *place, uint64_t offset) {
    char request[4096];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s:%s\r\n", place->path, place->host, place->port);
    if (offset > 0) {
        size += snprintf(request + size, sizeof request - (size_t)size, "Range: bytes=%llu-\r\n", (unsigned long long)offset);
    }
    size += snprintf(request + size, sizeof request - (size_t)size, "\r\n");
    if (!send_all(stream->socket, request, (size_t)size)) return fail(call, PACKETS_UNREACHABLE, "cannot ask the server");
    size_t body = read_head(stream);
    int status = 0;
    if (body == 0 || sscanf(stream->head, "HTTP/1.%*d %d", &status) != 1) {
        return fail(call, PACKETS_UNREACHABLE, "the server answers nothing that is HTTP");
    }
    int32_t outcome = status_of(call, status, offset);
    if (outcome != PACKETS_OK) return outcome;
    stream->left = length_of(stream->head, body);
    if (stream->left == PACKETS_UNKNOWN) return fail(call, PACKETS_PROTOCOL, "the server announces no size");
    stream->next = body;
    return PACKETS_OK;
}

static int32_t create(const packets_call *call, const packets_settings *settings, packets_source **source) {
    (void)settings;
    *source = calloc(1, sizeof **source);
    return *source != NULL ? PACKETS_OK : fail(call, PACKETS_PROTOCOL, "there is no memory");
}

static void destroy(packets_source *source) {
    free(source);
}

static int32_t claims(packets_source *source, packets_text location) {
    struct place place;
    (void)source;
    return parse(location, &place);
}

static int32_t find(packets_source *source, const packets_call *call, const packets_artifact *want,
                    const packets_found *found) {
    (void)call;
    for (uint64_t at = 0; at < want->mirrors_count; at++) {
        if (!claims(source, want->mirrors[at])) continue;
        packets_candidate one = {PACKETS_ABI_MAJOR, PACKETS_ABI_MINOR, sizeof one, want->mirrors[at], PACKETS_UNKNOWN, {NULL, 0}};
        if (found->candidate(found->host, &one) != 0) break;
    }
    return PACKETS_OK;
}

static int32_t open_place(packets_source *source, const packets_call *call, const packets_candidate *from,
                          uint64_t offset, packets_opened *opened) {
    struct place place;
    (void)source;
    if (!parse(from->location, &place)) return fail(call, PACKETS_BAD_LOCATION, "it is no plain-c://HOST:PORT/PATH");
    packets_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return fail(call, PACKETS_UNREACHABLE, "there is no memory");
    stream->socket = connect_to(&place);
    int32_t outcome = stream->socket < 0 ? fail(call, PACKETS_UNREACHABLE, "cannot reach the server")
                                         : ask(call, stream, &place, offset);
    if (outcome != PACKETS_OK) {
        close_stream(stream);
        return outcome;
    }
    opened->stream = stream;
    opened->size = stream->left;
    return PACKETS_OK;
}

static int32_t read_on(packets_stream *stream, const packets_call *call, uint8_t *buffer, uint64_t capacity,
                       uint64_t *came) {
    *came = 0;
    if (stream->left == 0) return PACKETS_OK;
    size_t room = (size_t)(capacity < stream->left ? capacity : stream->left);
    ssize_t count;
    if (stream->next < stream->filled) {
        size_t held = stream->filled - stream->next;
        count = (ssize_t)(held < room ? held : room);
        memcpy(buffer, stream->head + stream->next, (size_t)count);
        stream->next += (size_t)count;
    } else {
        count = receive(stream->socket, buffer, room);
    }
    if (count <= 0) return fail(call, PACKETS_UNREACHABLE, "the transfer broke off");
    stream->left -= (uint64_t)count;
    *came = (uint64_t)count;
    return PACKETS_OK;
}

static const packets_fetch FETCH = {
    PACKETS_ABI_MAJOR, PACKETS_ABI_MINOR, sizeof FETCH, create, destroy, claims, find, open_place, read_on, close_stream,
};

static const packets_plugin PLUGIN = {
    PACKETS_ABI_MAJOR, PACKETS_ABI_MINOR, sizeof PLUGIN, {"plain-c", 7}, {"1.0.0", 5}, &FETCH,
};

const packets_plugin *packets_plugin_entry(void) {
    return &PLUGIN;
}
