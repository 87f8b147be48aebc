/*
 * packets_plugin.h: places to fetch from, as native plugins of Packets.
 *
 * A plugin is a shared library for 64-bit Linux, little-endian. It exports one symbol, packets_plugin_entry. This
 * header is all that it needs; it can be written in any language that speaks C's calling convention.
 * README.md beside this folder goes through it step by step.
 *
 * WHERE IT RUNS. The host starts a worker process of its own for each plugin, gives up there what can be given up
 * (user, capabilities, writing to any file, reading all but the system's libraries, resolver and certificates,
 * starting programs, sockets but those of IPv4 and IPv6), and loads the library only then. stdin is not the
 * plugin's, stdout and stderr lead nowhere. A plugin that crashes, or that keeps the host waiting, costs its own
 * transfers; then it is started anew, a few times.
 *
 * WHAT IT DECIDES. Nothing. It moves bytes. The host bounds them, hashes them, and compares the SHA-256 with the
 * index's. PACKETS_OK says that the plugin has done its work, never that the bytes are right.
 *
 * VERSIONS. Every table begins with abi_major, abi_minor and struct_size. Whoever makes a table fills these in with
 * PACKETS_ABI_MAJOR, PACKETS_ABI_MINOR and the sizeof of the table in the header that it was built with.
 *  - The same major: tables have the same members in the same places. A new minor only adds members at the end.
 *  - The host refuses a plugin of another major, of a newer minor than its own, or whose struct_size is not that of
 *    its minor, before it calls anything but packets_plugin_entry.
 *  - A plugin that meets an older host never runs, so a plugin may read every member of its own header. A plugin
 *    meets newer hosts, whose tables are longer: it looks at the members that it knows.
 *
 * OWNERSHIP. Texts and tables that are passed in are borrowed until the call returns; what is to be kept is copied.
 * What a plugin passes to a callback is borrowed until the callback returns. Whoever allocates frees: sources by
 * destroy, streams by close. The host never calls free on anything of a plugin's, and the other way round.
 *
 * THREADS. All functions of a source may be called from several threads at once, with two exceptions: create comes
 * back before anything else is called, and destroy is called last. A stream is used by one thread at a time, not
 * always the same one. Callbacks are called on the thread, and within the call, that they came with.
 *
 * TIME. Every call comes back within bounded time, also when the place does not answer: 10 seconds for find, 60 for
 * open and for the next bytes of read. Whoever takes longer is given up. A long wait asks call->cancelled now and
 * then and returns PACKETS_UNREACHABLE when it says so.
 *
 * ERRORS. A function that can fail returns PACKETS_OK or one of the other codes, and may say before it returns, by
 * call->explain, what failed on which place. No exception, panic or longjmp leaves a function of the plugin.
 */
#ifndef PACKETS_PLUGIN_H
#define PACKETS_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PACKETS_ABI_MAJOR 1u
#define PACKETS_ABI_MINOR 0u

/* A size that is not known. */
#define PACKETS_UNKNOWN UINT64_MAX

/* The longest text that either side passes, in bytes; a longer one is an error, never cut. */
#define PACKETS_MAX_TEXT 65536u

/* UTF-8 of this many bytes; no NUL at its end, none within. data may be NULL where size is 0. */
typedef struct packets_text {
    const char *data;
    uint64_t size;
} packets_text;

/* What a function returns; any other number counts as PACKETS_PROTOCOL. */
enum {
    PACKETS_OK = 0,
    /* The place answered that it does not have it. */
    PACKETS_NOT_FOUND = 1,
    /* The place refused. */
    PACKETS_DENIED = 2,
    /* The place could not be reached, or broke off; another try may succeed. */
    PACKETS_UNREACHABLE = 3,
    /* The place said something that makes no sense. */
    PACKETS_PROTOCOL = 4,
    /* The place cannot start at the offset that was asked for, or has another version by now. */
    PACKETS_NO_SUCH_RANGE = 5,
    /* The network answered in the stead of the place: it wants a login first. */
    PACKETS_LOGIN_FIRST = 6,
    /* The location is not one that this source understands. */
    PACKETS_BAD_LOCATION = 7
};

/* What a call comes with. */
typedef struct packets_call {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    /* The host's; passed back to the functions below. */
    void *host;
    /*
     * Says why the call is going to fail: one sentence without a full stop, what was attempted on which place.
     * Never a secret. The last one counts. retry_after_ms: for how long the place asked to be left alone; 0: it did
     * not ask.
     */
    void (*explain)(void *host, packets_text message, uint64_t retry_after_ms);
    /* Not 0 when nobody waits for this call any more. */
    int32_t (*cancelled)(void *host);
} packets_call;

typedef struct packets_pair {
    packets_text key;
    packets_text value;
} packets_pair;

/* What a source is made with. */
typedef struct packets_settings {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    /* Sent to servers as the name of the program. */
    packets_text user_agent;
    /* The plugin's own table of the config, [Plugins.NAME.config], as TOML. */
    packets_text config;
    /*
     * The same, one pair for each value: "user" or, in a table of the table, "proxy.host". Texts are without their
     * quotes, everything else is as TOML writes it.
     */
    const packets_pair *values;
    uint64_t values_count;
    /* [Plugins.NAME.secrets]: what the files and variables hold that the config names there. */
    const packets_pair *secrets;
    uint64_t secrets_count;
} packets_settings;

/* A file that is wanted. */
typedef struct packets_artifact {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    /* The package that it holds; for messages only. */
    packets_text package;
    /* Its SHA-256, which the host checks; a source may use it to find the file. */
    uint8_t sha256[32];
    /* In bytes, or PACKETS_UNKNOWN. */
    uint64_t size;
    /* The URLs of the index, in its order, absolute. */
    const packets_text *mirrors;
    uint64_t mirrors_count;
} packets_artifact;

/* A place where an artifact may be. */
typedef struct packets_candidate {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    /* Where, in the source's own words: at most 8192 bytes; given back to open, and printed. */
    packets_text location;
    /* The size in bytes that the place announces, or PACKETS_UNKNOWN; a hint. */
    uint64_t size;
    /*
     * For open: what packets_opened.version of an earlier open of this place said, where the bytes from the offset
     * on must continue that one; else empty. A source leaves it empty.
     */
    packets_text version;
} packets_candidate;

/* Takes what find finds. */
typedef struct packets_found {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    void *host;
    /* Not 0: find looks no further and returns PACKETS_OK. */
    int32_t (*candidate)(void *host, const packets_candidate *candidate);
} packets_found;

/* Whatever a plugin keeps for a source, and for an open transfer. */
typedef struct packets_source packets_source;
typedef struct packets_stream packets_stream;

/* What open gives. The host makes it, filled in up to struct_size, the rest as the comments say. */
typedef struct packets_opened {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    /* NULL at first. */
    packets_stream *stream;
    /* How many bytes the stream is going to give from the offset on, where announced; PACKETS_UNKNOWN at first. */
    uint64_t size;
    /*
     * Which version of the file this is, at most 256 bytes, where the place tells versions apart byte for byte;
     * empty at first. It stays valid until the stream is closed.
     */
    packets_text version;
} packets_opened;

/* A place to fetch from. No member is NULL. */
typedef struct packets_fetch {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;

    /* Makes a source. A config that makes no sense is PACKETS_BAD_LOCATION, explained. Asks no network. */
    int32_t (*create)(const packets_call *call, const packets_settings *settings, packets_source **source);
    /* Ends it, when all its streams are closed. */
    void (*destroy)(packets_source *source);

    /* 1 where open understands this location, which comes from a user or an index; else 0. Looks at the text only. */
    int32_t (*claims)(packets_source *source, packets_text location);

    /*
     * Passes each place that may have the artifact to found->candidate, best first. To find nothing is PACKETS_OK;
     * an error says that the source itself cannot work. Of the artifact's mirrors only those that the source
     * claims, in their order. Nothing is fetched.
     */
    int32_t (*find)(packets_source *source, const packets_call *call, const packets_artifact *want,
                    const packets_found *found);

    /*
     * Opens a place at an offset. The stream gives the raw bytes from there on, as they are: never decoded, never
     * from another offset. Whoever cannot start there, or not in candidate->version, answers
     * PACKETS_NO_SUCH_RANGE; the host then asks for offset 0. An offset behind the end is PACKETS_NO_SUCH_RANGE,
     * too; exactly at the end either that or an empty stream. A location that is not claimed is
     * PACKETS_BAD_LOCATION.
     */
    int32_t (*open)(packets_source *source, const packets_call *call, const packets_candidate *from, uint64_t offset,
                    packets_opened *opened);

    /*
     * Puts up to capacity of the next bytes into buffer and their number into came; 0 bytes are the end. A transfer
     * that ends before its announced size is an error. After an error or the end the stream is only closed.
     */
    int32_t (*read)(packets_stream *stream, const packets_call *call, uint8_t *buffer, uint64_t capacity,
                    uint64_t *came);
    /* Ends a stream, read to its end or not. */
    void (*close)(packets_stream *stream);
} packets_fetch;

/* The plugin itself; it stays valid as long as the library is loaded, and it is never unloaded. */
typedef struct packets_plugin {
    uint32_t abi_major;
    uint32_t abi_minor;
    uint64_t struct_size;
    /* The name of plugin.toml: 1 to 32 of a-z, 0-9 and '-'. */
    packets_text name;
    /* For messages: at most 64 bytes. */
    packets_text version;
    const packets_fetch *fetch;
} packets_plugin;

/* The one symbol. It asks nothing, allocates nothing, and gives the same table each time. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const packets_plugin *packets_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif
