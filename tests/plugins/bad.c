/* A plugin that does what its location says: bad://WORD/FILE. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "packets_plugin.h"

#ifdef IN_CONSTRUCTOR
__attribute__((constructor)) static void constructor(void) { IN_CONSTRUCTOR; }
#endif

#ifdef GOOD
/* The bytes of a package, separated by commas. */
static const unsigned char good[] = {
#include GOOD
};
#else
static const unsigned char good[1];
#endif

#ifndef IN_FIND
#define IN_FIND
#endif

#ifndef NAME
#define NAME "bad"
#endif
#ifndef MAJOR
#define MAJOR PACKETS_ABI_MAJOR
#endif
#ifndef MORE
#define MORE 0
#endif

struct packets_source { int unused; };
struct packets_stream { const char *word; int reads; };

static int32_t say(const packets_call *call, int32_t status, const char *words) {
    packets_text text = {words, strlen(words)};
    call->explain(call->host, text, 0);
    return status;
}

static int is(packets_text location, const char *word) {
    char wanted[64];
    int size = snprintf(wanted, sizeof wanted, "bad://%s/", word);
    return location.size >= (uint64_t)size && memcmp(location.data, wanted, (size_t)size) == 0;
}

/* Everything that a worker must not be able to do; tells what it could do all the same. */
static int32_t try_all(const packets_call *call) {
    static char told[512];
    int file, none = 0;
    strcpy(told, "could:");
    if (getuid() == 0) strcat(told, " be-root");
    if ((file = open("/tmp/packets-bad-plugin", O_CREAT | O_WRONLY, 0600)) >= 0) strcat(told, " write");
    if (open("/etc/passwd", O_RDONLY) >= 0) strcat(told, " read");
    if (open("/proc/1/environ", O_RDONLY) >= 0) strcat(told, " environment");
    if (mkdir("/tmp/packets-bad-folder", 0700) == 0) strcat(told, " mkdir");
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) strcat(told, " unix-socket");
    if (kill(getppid(), 0) == 0) strcat(told, " kill");
    if (ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0) strcat(told, " ptrace");
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) strcat(told, " fork");
    execl("/bin/true", "true", (char *)NULL);
    if (setuid(0) == 0 && geteuid() == 0) strcat(told, " setuid");
    (void)none;
    return say(call, PACKETS_DENIED, told);
}

/* Takes handles until there are no more; tells the number of the last one. */
static int32_t take_handles(const packets_call *call) {
    char told[64];
    int last = -1;
    for (int next; (next = dup(0)) >= 0;) last = next;
    for (int file = 100; file <= last; file++) close(file);
    snprintf(told, sizeof told, "the last handle is %d", last);
    return say(call, PACKETS_DENIED, told);
}

/* Takes memory until there is no more; tells how many MiB it got. */
static int32_t take_memory(const packets_call *call) {
    char told[64];
    int pieces = 0;
    while (pieces < 4096 && mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) pieces++;
    snprintf(told, sizeof told, "it got %d MiB.", pieces);
    return say(call, PACKETS_DENIED, told);
}

static int32_t create(const packets_call *call, const packets_settings *settings, packets_source **source) {
    (void)call;
    (void)settings;
    *source = calloc(1, sizeof **source);
    return PACKETS_OK;
}

static void destroy(packets_source *source) { free(source); }

static int32_t claims(packets_source *source, packets_text location) {
    (void)source;
    if (is(location, "claimed-in-1-s")) sleep(1);
    if (is(location, "claimed-in-3-s")) sleep(3);
    return location.size > 6 && memcmp(location.data, "bad://", 6) == 0;
}

static int32_t find(packets_source *source, const packets_call *call, const packets_artifact *want, const packets_found *found) {
    (void)call;
    IN_FIND;
    for (uint64_t at = 0; at < want->mirrors_count; at++) {
        if (is(want->mirrors[at], "search-for-ever")) for (;;) pause();
        if (is(want->mirrors[at], "search-crash")) *(volatile int *)8 = 1;
        if (!claims(source, want->mirrors[at])) continue;
        packets_candidate one = {PACKETS_ABI_MAJOR, PACKETS_ABI_MINOR, sizeof one, want->mirrors[at], PACKETS_UNKNOWN, {NULL, 0}};
        if (found->candidate(found->host, &one) != 0) break;
    }
    return PACKETS_OK;
}

static int32_t open_place(packets_source *source, const packets_call *call, const packets_candidate *from, uint64_t offset,
                          packets_opened *opened) {
    packets_text at = from->location;
    if (!claims(source, at)) return say(call, PACKETS_BAD_LOCATION, "not mine");
    if (offset > 0) return PACKETS_NO_SUCH_RANGE;
    if (is(at, "crash")) *(volatile int *)8 = 1;
    if (is(at, "1.late-crash") || is(at, "2.late-crash") || is(at, "3.late-crash") || is(at, "4.late-crash")) {
        usleep(300 * 1000);
        *(volatile int *)8 = 1;
    }
    if (is(at, "abort")) abort();
    if (is(at, "exit")) exit(0);
    if (is(at, "hang")) for (;;) pause();
    if (is(at, "spin")) for (;;) { volatile int none = 0; (void)none; }
    if (is(at, "close")) {
        for (int file = 0; file < 512; file++) close(file);
        return say(call, PACKETS_UNREACHABLE, "all is closed");
    }
    if (is(at, "stop")) raise(SIGSTOP);
    if (is(at, "environment")) {
        chdir("/tmp");
        umask(0);
        signal(SIGPIPE, SIG_DFL);
        return say(call, PACKETS_DENIED, getenv("PATH") || getenv("HOME") ? "there is an environment" : "there is none");
    }
    if (is(at, "handles")) return take_handles(call);
    if (is(at, "memory")) return take_memory(call);
    if (is(at, "try")) return try_all(call);
    if (is(at, "terminal")) return say(call, PACKETS_DENIED, "\033[2J\033]0;x\007 cleared");
    if (is(at, "number")) return 4711;
    opened->stream = calloc(1, sizeof *opened->stream);
    opened->stream->word = is(at, "lie") ? "lie" : is(at, "endless") ? "endless" : is(at, "short") ? "short" : is(at, "much") ? "much" : is(at, "good") ? "good" : "cut";
    if (is(at, "short")) opened->size = 1u << 30;
    if (is(at, "version")) opened->version.size = 1ull << 63;
    return PACKETS_OK;
}

static int32_t read_on(packets_stream *stream, const packets_call *call, uint8_t *buffer, uint64_t capacity, uint64_t *came) {
    int first = stream->reads++ == 0;
    if (strcmp(stream->word, "much") == 0) {
        *came = capacity + 1;
        return PACKETS_OK;
    }
    if (strcmp(stream->word, "good") == 0) {
        *came = first ? sizeof good : 0;
        if (*came > capacity) return say(call, PACKETS_PROTOCOL, "the package is too large");
        memcpy(buffer, good, *came);
        return PACKETS_OK;
    }
    if (strcmp(stream->word, "endless") == 0 || first) {
        memset(buffer, 'x', capacity);
        *came = capacity;
        return PACKETS_OK;
    }
    if (strcmp(stream->word, "cut") == 0) return say(call, PACKETS_UNREACHABLE, "cut off");
    *came = 0;
    return PACKETS_OK;
}

static void close_stream(packets_stream *stream) { free(stream); }

static const packets_fetch FETCH = {
    PACKETS_ABI_MAJOR, PACKETS_ABI_MINOR, sizeof FETCH, create, destroy, claims, find, open_place, read_on, close_stream,
};
static const packets_plugin PLUGIN = {
    MAJOR, PACKETS_ABI_MINOR, sizeof PLUGIN + MORE, {NAME, sizeof NAME - 1}, {"1", 1}, &FETCH,
};

#ifndef NO_ENTRY
const packets_plugin *packets_plugin_entry(void) {
#ifdef NULL_ENTRY
    return NULL;
#else
    return &PLUGIN;
#endif
}
#endif
