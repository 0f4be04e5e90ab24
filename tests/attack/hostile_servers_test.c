/*
 * Servers that mean harm, or have lost their mind: wrong lengths, messages out of order, missing
 * and unasked ones, errors without fields, floods without end, a connection that ends at every
 * byte. Each time the client is told one clear thing, the process and its memory are as before, and
 * the next statement on a good server works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sanitizer.h"
#include "router/wire/message.h"
#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"
#include "tests/harness/scripted_server.h"

enum {
    PATIENCE_MS = 20000,
    SILENCE_MS = 50, /* to see that nothing more comes where nothing can be waited for */
#if SY_ADDRESS_SANITIZER || SY_THREAD_SANITIZER
    GROWTH_KB_MAX = 4 * 1024 * 1024,
    CUT_STEP = 7,
#else
    CUT_STEP = 1,
    GROWTH_KB_MAX = 64 * 1024
#endif
};

static struct sy_cluster *cluster;
static struct sy_router *router;
static struct sy_scripted_server *liar, *doorman, *half, *monitored, *inspected, *resolved;
/* Their ports, in this order: the router is started before them, and forked without threads. */
static uint16_t ports[6];

/* ---- what servers say ---- */

static void append_columns(struct sy_buf *out, uint16_t count)
{
    static const struct sy_column_desc column = {
        .name = {"id", 2}, .type_oid = 23, .type_size = 4, .type_modifier = -1};
    struct sy_column_desc columns[9];
    for (uint16_t i = 0; i < 9; i++)
        columns[i] = column;
    sy_write_row_description(out, columns, count < 9 ? count : 9);
}

static void append_values(struct sy_buf *out, uint16_t count)
{
    struct sy_slice values[9];
    for (uint16_t i = 0; i < 9; i++)
        values[i] = SY_SLICE("7");
    sy_write_data_row(out, values, count < 9 ? count : 9);
}

static void append_fields(struct sy_buf *out, const char *which)
{
    static const char *const fields[] = {"SERROR", "VERROR", "CXX123", "Mlies",
                                         "SFATAL", "VFATAL", "C57P01"};
    size_t start = sy_msg_begin(out, 'E');
    for (; *which != '\0' && *which != ' '; which++) {
        size_t index = (size_t)(strchr("svcmfgt", *which) - "svcmfgt");
        sy_buf_append(out, fields[index], strlen(fields[index]) + 1);
    }
    sy_buf_append_u8(out, 0);
    sy_msg_end(out, start);
}

/*
 * Words of a script: T2 D2 (so many columns), C (SELECT 1), Z (idle), Zx (another status), E (a
 * whole error), Esvcm... (these fields of one; f, g and t are those of a FATAL), N, S, G, H, 1 2 3
 * n I s t c d (empty or nearly), and lies: X#8 (type X, length 8 in hexadecimal, nothing behind),
 * X+3 (type X with three bytes x).
 */
static void append_word(struct sy_buf *out, const char *word)
{
    char type = word[0];
    uint16_t count = (uint16_t)strtoul(word + 1, NULL, 10);
    bool plain = word[1] == ' ' || word[1] == '\0';
    if (word[1] == '#') {
        sy_buf_append_u8(out, (uint8_t)type);
        sy_buf_append_u32(out, (uint32_t)strtoul(word + 2, NULL, 16));
    } else if (word[1] == '+') {
        size_t start = sy_msg_begin(out, type);
        for (unsigned long i = strtoul(word + 2, NULL, 10); i > 0; i--)
            sy_buf_append_u8(out, 'x');
        sy_msg_end(out, start);
    } else if (type == 'T') {
        append_columns(out, count);
    } else if (type == 'D') {
        append_values(out, count);
    } else if (type == 'C') {
        sy_write_command_complete(out, "SELECT 1");
    } else if (type == 'Z') {
        sy_write_ready(out, plain ? 'I' : word[1]);
    } else if (type == 'E') {
        append_fields(out, plain ? "svcm" : word + 1);
    } else if (type == 'N') {
        struct sy_err err = {0};
        (void)!sy_err_set(&err, SY_E_INTERNAL, "beware");
        sy_write_notice(out, "NOTICE", &err);
    } else if (type == 'S') {
        char name[16];
        snprintf(name, sizeof(name), "lie%u", count);
        sy_write_parameter_status(out, sy_slice_of(name), SY_SLICE("on"));
    } else if (type == 'G' || type == 'H') {
        sy_write_copy_response(out, type, 0, &(uint16_t){0}, 1);
    } else if (type == 'd') {
        sy_write_copy_data(out, SY_SLICE("7\n"));
    } else if (type == 't') {
        sy_write_parameter_description(out, NULL, 0);
    } else {
        sy_write_simple(out, type);
    }
}

static struct sy_saying saying_of(struct sy_buf *out, const char *words)
{
    if (words == NULL)
        return (struct sy_saying){0};
    sy_buf_clear(out);
    sy_buf_reserve(out, 1);
    for (; *words != '\0'; words += strcspn(words, " "), words += *words == ' ')
        append_word(out, words);
    assert_false(out->failed);
    return (struct sy_saying){out->data, out->bytes};
}

struct lie {
    const char *answer, *again;
    bool closes;
    const char *wanted; /* what the client sees; several with '|' */
};

static void tell(struct sy_scripted_server *server, const struct lie *lie)
{
    struct sy_buf answer = {0}, again = {0};
    struct sy_script script = {.answer = saying_of(&answer, lie->answer),
                               .again = saying_of(&again, lie->again),
                               .closes = lie->closes};
    sy_scripted_server_set(server, &script);
    sy_buf_release(&answer);
    sy_buf_release(&again);
}

/* The first question of each connection is answered properly. */
static void tell_after(struct sy_scripted_server *server, const char *first, const char *words)
{
    struct sy_buf begin = {0}, answer = {0};
    struct sy_script script = {.first = saying_of(&begin, first),
                               .answer = saying_of(&answer, words)};
    sy_scripted_server_set(server, &script);
    sy_buf_release(&begin);
    sy_buf_release(&answer);
}

/* ---- what clients see ---- */

static bool is_one_of(const char *text, const char *wanted)
{
    size_t bytes = strlen(text);
    for (; *wanted != '\0'; wanted += strcspn(wanted, "|"), wanted += *wanted == '|')
        if (strcspn(wanted, "|") == bytes && memcmp(wanted, text, bytes) == 0)
            return true;
    return false;
}

/* Waits until the client has seen what it was to see, or its connection ended. */
static void expect_seen(struct raw *client, const char *wanted, const char *what)
{
    struct sy_buf seen = {0}, unread = {0};
    uint64_t end = raw_now_ms() + PATIENCE_MS;
    char text[400] = "";
    bool over = false;
    while (!over && raw_now_ms() < end && !is_one_of(text, wanted)) {
        (void)raw_read(client, 0, 20);
        over = client->closed;
        raw_describe(client, &seen);
        snprintf(text, sizeof(text), "%.*s", (int)seen.bytes, seen.data == NULL ? "" : seen.data);
    }
    if (!client->closed) {
        (void)raw_read(client, 0, SILENCE_MS);
        raw_describe(client, &seen);
        snprintf(text, sizeof(text), "%.*s", (int)seen.bytes, seen.data == NULL ? "" : seen.data);
    }
    if (!is_one_of(text, wanted))
        fail_msg("%s: the client saw %s, not %s", what, text, wanted);
    sy_buf_release(&seen);
    sy_buf_release(&unread);
}

static void good_server_serves(const char *what)
{
    struct raw good;
    if (!raw_login(&good, sy_router_port(router), "postgres", "app"))
        fail_msg("%s: nobody can log in any more", what);
    raw_query(&good, "select 1");
    expect_seen(&good, "TDCZ(I)", what);
    raw_close(&good);
}

static void no_memory_was_kept(uint64_t before_kb, const char *what)
{
    uint64_t now_kb = raw_resident_kb(sy_router_pid(router));
    print_message("%s: memory %+lld kB\n", what, (long long)now_kb - (long long)before_kb);
    if (now_kb == 0 || now_kb > before_kb + GROWTH_KB_MAX)
        fail_msg("%s: memory grew from %llu to %llu kB", what, (unsigned long long)before_kb,
                 (unsigned long long)now_kb);
}

enum how { SIMPLE, EXTENDED };

static void ask(struct raw *client, enum how how, const char *sql)
{
    if (how == SIMPLE) {
        raw_query(client, sql);
    } else {
        raw_extended(client, sql);
        raw_message(client, 'S', NULL, 0);
    }
}

static void try_lies(const struct lie *lies, size_t count, enum how how, const char *sql)
{
    for (size_t i = 0; i < count; i++) {
        struct raw client;
        tell(liar, &lies[i]);
        if (!raw_login(&client, sy_router_port(router), "postgres", "lies"))
            fail_msg("%s: cannot log in", lies[i].answer);
        ask(&client, how, sql);
        expect_seen(&client, lies[i].wanted, lies[i].answer);
        raw_close(&client);
        good_server_serves(lies[i].answer);
    }
}

/* ---- lies ---- */

#define BROKEN "E(FATAL,08P01)!"

static void lies_about_a_query_end_both_connections(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"T1 D1 C Z", NULL, false, "TDCZ(I)"}, /* the truth, for once */
        {"N S1 T1 D1 S1 C N Z", NULL, false, "TDCZ(I)"},
        {"I Z", NULL, false, "IZ(I)"},
        {"T1 D1 C T1 D1 C Z", NULL, false, "TDCTDCZ(I)"},
        /* lengths */
        {"D#3", NULL, false, BROKEN},
        {"T1 D#0", NULL, false, "T" BROKEN},
        {"T1 D#7fffffff", NULL, false, "T" BROKEN},
        {"T1 D#ffffffff", NULL, false, "T" BROKEN},
        {"T1 D1 C Z#4", NULL, false, "TDC" BROKEN},
        {"T1 D1 C Z+2", NULL, false, "TDC" BROKEN},
        {"T1 D1 C Zx", NULL, false, "TDC" BROKEN},
        {"T1 D1 C+0", NULL, false, "TD" BROKEN},
        {"T1 D1 C+5", NULL, false, "TD" BROKEN},
        {"T1 D1 C#10000", NULL, false, "TD" BROKEN},
        {"T#7000000", NULL, false, BROKEN},
        {"E#7000000", NULL, false, BROKEN},
        {"N#3fffffff", NULL, false, BROKEN},
        {"S#7530", NULL, false, BROKEN},
        {"I+1", NULL, false, BROKEN},
        /* what was not asked for */
        {"T1 1 D1 C Z", NULL, false, "T" BROKEN},
        {"2 C Z", NULL, false, BROKEN},
        {"3 C Z", NULL, false, BROKEN},
        {"n C Z", NULL, false, BROKEN},
        {"t C Z", NULL, false, BROKEN},
        {"T1 D1 s Z", NULL, false, "TD" BROKEN},
        {"d C Z", NULL, false, BROKEN},
        {"T1 d C Z", NULL, false, "T" BROKEN},
        {"c C Z", NULL, false, BROKEN},
        {"R+4 Z", NULL, false, BROKEN},
        {"K+8 Z", NULL, false, BROKEN},
        {"v+8 Z", NULL, false, BROKEN},
        {"W+3 Z", NULL, false, BROKEN},
        {"~+3 Z", NULL, false, BROKEN},
        {"4+3 Z", NULL, false, BROKEN},
        {"Q+3 Z", NULL, false, BROKEN},
        /* one ReadyForQuery too many, a whole answer too many */
        {"T1 D1 C Z Z", NULL, false, "TDCZ(I)" BROKEN "|TDCZ(I)"},
        {"T1 D1 C Z T1 D1 C Z", NULL, false, "TDCZ(I)" BROKEN "|TDCZ(I)"},
        {"T1 D1 C Z E", NULL, false, "TDCZ(I)" BROKEN "|TDCZ(I)"},
        /* COPY */
        {"H d d c C Z", NULL, false, "HdcCZ(I)"},
        {"H D1 C Z", NULL, false, "H" BROKEN},
        {"H d C Z", NULL, false, "Hd" BROKEN},
        {"H Z", NULL, false, "H" BROKEN},
        {"G Z", NULL, false, "G" BROKEN},
        {"G T1 C Z", NULL, false, "G" BROKEN},
        {"G C Z", NULL, false, "GCZ(I)"},
    };
    try_lies(lies, sizeof(lies) / sizeof(lies[0]), SIMPLE, "select 1");
}

static void errors_without_their_fields_are_errors_all_the_same(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"E Z", NULL, false, "E(ERROR,XX123)Z(I)"},
        {"E+0 Z", NULL, false, BROKEN},
        {"E+1 Z", NULL, false, BROKEN},
        {"E+400 Z", NULL, false, BROKEN},
        {"E1 Z", NULL, false, ""},
        {"T1 D1 E C Z", NULL, false, "TDE(ERROR,XX123)" BROKEN},
        {"T1 D1 E D1 Z", NULL, false, "TDE(ERROR,XX123)" BROKEN},
        {"T1 D1 E E Z", NULL, false, "TDE(ERROR,XX123)E(ERROR,XX123)Z(I)"},
        {"Em Z", NULL, false, "E(ERROR,08P01)Z(I)"},
        {"Ec Z", NULL, false, "E(ERROR,08P01)Z(I)"},
        {"Es Z", NULL, false, "E(ERROR,08P01)Z(I)"},
        {"Esvc Z", NULL, false, "E(ERROR,08P01)Z(I)"},
        {"Esvm Z", NULL, false, "E(ERROR,08P01)Z(I)"},
        {"Efgtm", NULL, true, "E(ERROR,57P01)Z(I)"},
        {"Efg", NULL, true, "E(ERROR,08006)Z(I)"},
        {"Ef", NULL, true, "E(ERROR,08006)Z(I)"},
        {"Eg", NULL, true, "E(ERROR,08006)Z(I)"},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        if (lies[i].wanted[0] != '\0')
            try_lies(&lies[i], 1, SIMPLE, "select 1");
}

static void lies_about_a_batch_end_both_connections(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"1 2 D1 C Z", NULL, false, "12DCZ(I)"},
        {"1 E Z", NULL, false, "1E(ERROR,XX123)Z(I)"},
        {"1 2 D1 s Z", NULL, false, "12DsZ(I)"},
        {"1 2 D1 I Z", NULL, false, "12DIZ(I)"},
        /* ParseComplete is told before the server has answered */
        {"2 D1 C Z", NULL, false, "1" BROKEN},
        {"1 D1 C Z", NULL, false, "1" BROKEN},
        {"1 1 2 D1 C Z", NULL, false, "1" BROKEN},
        {"1 2 T1 D1 C Z", NULL, false, "12" BROKEN},
        {"1 2 n C Z", NULL, false, "12" BROKEN},
        {"1 2 Z", NULL, false, "12" BROKEN},
        {"1 Z", NULL, false, "1" BROKEN},
        {"Z", NULL, false, "1" BROKEN},
        {"1 2 D1 C C Z", NULL, false, "12DC" BROKEN},
        {"1 2 D1 C 3 Z", NULL, false, "12DC" BROKEN},
        {"1 E 2 Z", NULL, false, "1E(ERROR,XX123)" BROKEN},
        {"1 E D1 Z", NULL, false, "1E(ERROR,XX123)" BROKEN},
        {"1+1 2 D1 C Z", NULL, false, "1" BROKEN},
        {"1 2 V+4 C Z", NULL, false, "12" BROKEN},
        {"1 2 H d c C Z", NULL, false, "12HdcCZ(I)"},
        {"1 2 H D1 C Z", NULL, false, "12H" BROKEN},
    };
    try_lies(lies, sizeof(lies) / sizeof(lies[0]), EXTENDED, "select 1");
}

static void a_server_that_falls_silent_hurts_its_client_only(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"T1 D1 C", NULL, false, "TDC"},     {"T1 D1", NULL, false, "TD"},
        {"T1 D#3fffffff", NULL, false, "T"}, {"T1 D1 C Z#5", NULL, false, "TDC"},
        {"E#f00000", NULL, false, "|"},
    };
    uint64_t before_kb = raw_resident_kb(sy_router_pid(router));
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        try_lies(&lies[i], 1, SIMPLE, "select 1");
    no_memory_was_kept(before_kb, "servers that fall silent");
}

/* The end may come at any byte; the client's messages stay whole. */
static void a_connection_may_end_at_every_byte(void **state)
{
    (void)state;
    static const char *const answers[] = {"T1 D1 C Z", "E Z", "H d c C Z"};
    for (size_t a = 0; a < sizeof(answers) / sizeof(answers[0]); a++) {
        struct sy_buf whole = {0};
        struct sy_saying saying = saying_of(&whole, answers[a]);
        for (size_t bytes = 0; bytes < saying.bytes; bytes += CUT_STEP) {
            struct raw client;
            char what[64];
            struct sy_script script = {.answer = {saying.data, bytes}, .closes = true};
            snprintf(what, sizeof(what), "%s cut at %zu", answers[a], bytes);
            sy_scripted_server_set(liar, &script);
            assert_true(raw_login(&client, sy_router_port(router), "postgres", "lies"));
            raw_query(&client, "select 1");
            expect_seen(&client,
                        "E(ERROR,08006)Z(I)|TE(ERROR,08006)Z(I)|TDE(ERROR,08006)Z(I)|"
                        "TDCE(ERROR,08006)Z(I)|E(ERROR,XX123)E(ERROR,08006)Z(I)|HE(ERROR,08006)Z(I)"
                        "|HdE(ERROR,08006)Z(I)|HdcE(ERROR,08006)Z(I)|HdcCE(ERROR,08006)Z(I)|"
                        "T!|H!",
                        what);
            raw_close(&client);
        }
        sy_buf_release(&whole);
    }
    good_server_serves("connections that end");
}

/* ---- without end ---- */

static void floods_take_no_memory(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"T1", "D1", false, NULL}, {"T1", "N", false, NULL}, {"T1", "S1", false, NULL},
        {"", "A+0", false, NULL},  {"H", "d", false, NULL},  {"T1", "T1 D1 C", false, NULL},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct raw client;
        uint64_t before_kb = raw_resident_kb(sy_router_pid(router));
        tell(liar, &lies[i]);
        assert_true(raw_login(&client, sy_router_port(router), "postgres", "lies"));
        raw_query(&client, "select 1"); /* and does not read */
        for (int n = 0; n < 5; n++)
            good_server_serves(lies[i].again);
        no_memory_was_kept(before_kb, lies[i].again);
        raw_close(&client);
    }
}

static void settings_without_end_are_not_remembered(void **state)
{
    (void)state;
    char words[2048] = "";
    for (unsigned i = 1; i <= 200; i++)
        snprintf(words + strlen(words), sizeof(words) - strlen(words), "S%u ", i);
    const struct lie lie = {words, NULL, false, BROKEN};
    try_lies(&lie, 1, SIMPLE, "select 1");
}

/* ---- while it logs in ---- */

static void use_door(const struct sy_script *script, const char *what)
{
    struct raw client;
    sy_scripted_server_set(doorman, script);
    assert_true(raw_open(&client, sy_router_port(router)));
    raw_startup_packet(&client, "postgres", "door");
    if (raw_read(&client, 'E', PATIENCE_MS))
        (void)raw_read(&client, 0, PATIENCE_MS);
    struct sy_buf seen = {0};
    raw_describe(&client, &seen);
    sy_buf_append_u8(&seen, 0);
    if (seen.bytes != 17 || strncmp(seen.data, "RE(FATAL,", 9) != 0 ||
        strcmp(seen.data + 14, ")!") != 0)
        fail_msg("%s: the client saw %s", what, seen.data);
    sy_buf_release(&seen);
    raw_close(&client);
    good_server_serves(what);
}

#define AUTH(code) "R\0\0\0\x08\0\0\0" code

static void lies_at_the_door(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct sy_saying saying;
    } lies[] = {
#define LIE(what, text)                                                                            \
    {                                                                                              \
        what,                                                                                      \
        {                                                                                          \
            text, sizeof(text) - 1                                                                 \
        }                                                                                          \
    }
        LIE("nothing", ""),
        LIE("a length of 3", "R\0\0\0\x03"),
        LIE("a length of 2 GiB", "R\x7f\xff\xff\xff"),
        LIE("a length of -1", "R\xff\xff\xff\xff"),
        LIE("Z at once", "Z\0\0\0\5I"),
        LIE("a row", "D\0\0\0\x0b\0\1\0\0\0\1x"),
        LIE("an unknown method", AUTH("\x63")),
        LIE("GSS", AUTH("\7")),
        LIE("a method without its number", "R\0\0\0\4"),
        LIE("MD5 without salt", AUTH("\5")),
        LIE("AuthenticationOk with a body", "R\0\0\0\x0c\0\0\0\0abcd"),
        LIE("AuthenticationOk twice", AUTH("\0") AUTH("\0")),
        LIE("SASL without mechanisms", "R\0\0\0\x09\0\0\0\x0a\0"),
        LIE("SASL of another kind", "R\0\0\0\x0e\0\0\0\x0aOAUTH\0\0"),
        LIE("SASL whose list does not end", "R\0\0\0\x0d\0\0\0\x0aSCRAM"),
        LIE("SASL-PLUS without TLS", "R\0\0\0\x1c\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"),
        LIE("SASL final at once", "R\0\0\0\x0b\0\0\0\x0cv=x"),
        LIE("a key too short", AUTH("\0") "K\0\0\0\x0a\0\0\0\1ab"),
        LIE("a busy new session", AUTH("\0") "Z\0\0\0\5T"),
        LIE("ReadyForQuery without status", AUTH("\0") "Z\0\0\0\4"),
        LIE("a parameter without a value", AUTH("\0") "S\0\0\0\6a\0"),
        LIE("an error without fields", "E\0\0\0\5\0"),
        LIE("an error that does not end", "E\0\0\0\7Mab"),
        LIE("an error of nothing", "E\0\0\0\4"),
        LIE("a refusal without reason", "E\0\0\0\x12SFATAL\0C28000\0\0"),
        LIE("a newer protocol", "v\0\0\0\x0c\0\0\0\0\0\0\0\0" AUTH("\0")),
#undef LIE
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct sy_script script = {.login = lies[i].saying, .closes = true};
        use_door(&script, lies[i].what);
    }
}

static struct sy_saying sasl_of(struct sy_buf *out, char code, const char *text)
{
    sy_buf_clear(out);
    size_t start = sy_msg_begin(out, 'R');
    sy_buf_append_u32(out, (uint32_t)code);
    sy_buf_append_str(out, text);
    sy_msg_end(out, start);
    return (struct sy_saying){out->data, out->bytes};
}

static void lies_in_a_scram_exchange(void **state)
{
    (void)state;
    static const char offer[] = "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
    static const struct {
        const char *first, *final;
        char first_code, final_code;
    } lies[] = {
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 11,
         12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "v=", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "e=no", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "", 11, 0}, /* accepted without a proof of its own */
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "v=x", 11, 11},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=2147483647", "", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=99999999999999999999", "", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=0", "", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=-4096", "", 11, 12},
        {"r=%rMORE,s=c2FsdHNhbHQ=,i=", "", 11, 12},
        {"r=%rMORE,s=,i=4096", "", 11, 12},
        {"r=%rMORE,s=@@@@,i=4096", "", 11, 12},
        {"r=%rMORE,i=4096", "", 11, 12},
        {"r=%r,s=c2FsdHNhbHQ=,i=4096", "v=", 11, 12}, /* nothing of the server's in the nonce */
        {"r=,s=c2FsdHNhbHQ=,i=4096", "", 11, 12},
        {"r=other,s=c2FsdHNhbHQ=,i=4096", "", 11, 12},
        {"m=ext,r=%rMORE,s=c2FsdHNhbHQ=,i=4096", "", 11, 12},
        {"", "", 11, 12},
        {"", "", 0, 12}, /* accepted at once, although SCRAM was begun */
        {"", "", 10, 12},
        {"", "", 5, 12},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct sy_buf first = {0}, final = {0};
        struct sy_script script = {.login = {offer, sizeof(offer) - 1}};
        script.proof[0] = sasl_of(&first, lies[i].first_code, lies[i].first);
        script.proof[1] = sasl_of(&final, lies[i].final_code, lies[i].final);
        use_door(&script, lies[i].first);
        sy_buf_release(&first);
        sy_buf_release(&final);
    }
    struct sy_buf first = {0};
    char nonce[9000];
    memset(nonce, 'n', sizeof(nonce));
    memcpy(nonce, "r=%r", 4);
    snprintf(nonce + 8000, sizeof(nonce) - 8000, ",s=c2FsdHNhbHQ=,i=4096");
    struct sy_script script = {.login = {offer, sizeof(offer) - 1}};
    script.proof[0] = sasl_of(&first, 11, nonce);
    use_door(&script, "a nonce of 8000 bytes");
    sy_buf_release(&first);
}

static void floods_at_the_door_end(void **state)
{
    (void)state;
    struct sy_buf out = {0};
    uint64_t before_kb = raw_resident_kb(sy_router_pid(router));
    for (unsigned i = 0; i < 2000; i++)
        append_word(&out, "N");
    use_door(&(struct sy_script){.login = {out.data, out.bytes}}, "notices at the door");
    sy_buf_clear(&out);
    sy_buf_append(&out, AUTH("\0"), 9);
    for (unsigned i = 0; i < 200; i++) {
        char word[16];
        snprintf(word, sizeof(word), "S%u", i);
        append_word(&out, word);
    }
    use_door(&(struct sy_script){.login = {out.data, out.bytes}}, "settings at the door");
    sy_buf_release(&out);
    no_memory_was_kept(before_kb, "floods at the door");
}

/* ---- one shard of two ---- */

/* An answer or an error, and then the connection is as it was, or closed. */
static void expect_one_answer(const struct sy_buf *seen, const char *sql, const char *what)
{
    unsigned errors = 0;
    for (const char *at = seen->data; (at = strstr(at, "E(")) != NULL; at++)
        errors++;
    size_t bytes = strlen(seen->data);
    bool ended = (bytes >= 4 && strcmp(seen->data + bytes - 4, "Z(I)") == 0) ||
                 (bytes >= 1 && seen->data[bytes - 1] == '!');
    print_message("%s, %s: %s\n", sql, what, seen->data);
    if (errors > 1 || !ended || (errors == 0 && !is_one_of(seen->data, "TDCZ(I)|TCZ(I)|T!")))
        fail_msg("%s, %s: the client saw %s", sql, what, seen->data);
}

static void one_shard_that_lies_spoils_the_answer_only(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"T1 D1 C Z", NULL, false, "TDCZ(I)"},
        {"T1 D3 C Z", NULL, false, NULL},
        {"T3 D3 C Z", NULL, false, NULL},
        {"T0 D0 C Z", NULL, false, NULL},
        {"D1 C Z", NULL, false, NULL},
        {"C Z", NULL, false, NULL},
        {"T1 D+0 C Z", NULL, false, NULL},
        {"T1 D+1 C Z", NULL, false, NULL},
        {"T1 D+7 C Z", NULL, false, NULL},
        {"T+1 D1 C Z", NULL, false, NULL},
        {"T+60 D1 C Z", NULL, false, NULL},
        {"T1 D1 C C Z", NULL, false, NULL},
        {"T1 D1 I Z", NULL, false, NULL},
        {"T1 D1 Z", NULL, false, NULL},
        {"T1 D1 G", NULL, false, NULL},
        {"H d c C Z", NULL, false, NULL},
        {"T1 D1 E Z", NULL, false, NULL},
        {"T1 D1 3 Z", NULL, false, NULL},
        {"T1 D1", NULL, true, NULL},
        {"T1 D#10000", NULL, true, NULL},
        {"", NULL, true, NULL},
    };
    static const char *const statements[] = {"select id from k order by id",
                                             "select count(*) from k", "select id from k"};
    for (size_t s = 0; s < sizeof(statements) / sizeof(statements[0]); s++)
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
            struct raw client;
            struct sy_buf seen = {0};
            tell(half, &lies[i]);
            assert_true(raw_login(&client, sy_router_port(router), "postgres", "half"));
            raw_query(&client, statements[s]);
            if (!raw_read(&client, 'Z', PATIENCE_MS) && !client.closed)
                fail_msg("%s, %s: no end", statements[s], lies[i].answer);
            raw_describe(&client, &seen);
            sy_buf_append_u8(&seen, 0);
            expect_one_answer(&seen, statements[s], lies[i].answer);
            sy_buf_release(&seen);
            raw_close(&client);
            good_server_serves(lies[i].answer);
        }
}

/* ---- the control plane ---- */

/* Each look-up is told one lie after the other, and goes on asking. */
static void look_ups_survive_what_they_are_told(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "C Z", "T1 C Z", "T9 D9 C Z", "T1 D1 C T1 D1 C Z", "T9 D1 C Z", "T1 D#7fffffff", "E Z"};
    struct sy_scripted_server *const told[] = {monitored, inspected, resolved};
    enum { TOLD = sizeof(told) / sizeof(told[0]) };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint64_t answers[TOLD];
        for (size_t t = 0; t < TOLD; t++) {
            tell_after(told[t], "C Z", lies[i]);
            answers[t] = sy_scripted_server_answers(told[t]);
        }
        /* What was read, and is believed, is read again with the next configuration. */
        kill(sy_router_pid(router), SIGHUP);
        for (size_t t = 0; t < TOLD; t++) {
            for (uint64_t end = raw_now_ms() + PATIENCE_MS;
                 sy_scripted_server_answers(told[t]) <= answers[t] && raw_now_ms() < end;)
                good_server_serves(lies[i]);
            if (sy_scripted_server_answers(told[t]) <= answers[t])
                fail_msg("look-up %zu stopped asking after %s", t, lies[i]);
        }
    }
}

/* Answers without end, or none at all: the last thing, so that the router has to end meanwhile. */
static void look_ups_do_not_keep_the_router_from_ending(void **state)
{
    (void)state;
    static const struct lie flood = {"T1", "D1", false, NULL}, silence = {"", NULL, false, NULL};
    uint64_t answers = sy_scripted_server_answers(resolved);
    tell(monitored, &flood);
    tell(inspected, &flood);
    tell(resolved, &silence);
    for (uint64_t end = raw_now_ms() + PATIENCE_MS;
         sy_scripted_server_answers(resolved) <= answers && raw_now_ms() < end;)
        good_server_serves("floods to look-ups");
    uint64_t begin = raw_now_ms();
    assert_int_equal(sy_router_stop(&router, SIGTERM), 0);
    print_message("ended within %llu ms\n", (unsigned long long)(raw_now_ms() - begin));
}

static void append_mad(struct sy_buf *out, const char *name, unsigned port)
{
    sy_buf_printf(
        out,
        ",\n{ name = \"%s\"; engine = \"postgres\"; pool = { size = 2; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=app user=postgres sslmode=disable\"; } ); },\n"
        "             { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=app user=postgres sslmode=disable\"; } ); } );\n"
        "  keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int4\"; tables = ( "
        "{ name = \"k\"; key = \"id\"; } ); } ); }",
        name, port, port);
}

static void start_router(void)
{
    struct sy_buf text = {0};
    sy_buf_printf(
        &text,
        "{ name = \"app\"; engine = \"postgres\"; shards = ( { name = \"s0\"; nodes = ( {\n"
        "  conninfo = \"host=127.0.0.1 port=%u dbname=app user=postgres\"; } ); } ); },\n"
        "{ name = \"lies\"; engine = \"postgres\"; pool = { size = 2; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=app user=postgres sslmode=disable\"; } ); } ); },\n"
        "{ name = \"door\"; engine = \"postgres\"; pool = { size = 2; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=app user=postgres password=secret sslmode=disable\"; } ); } ); },\n"
        "{ name = \"half\"; engine = \"postgres\"; pool = { size = 2; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=app user=postgres\"; } ); },\n"
        "             { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
        "dbname=app user=postgres sslmode=disable\"; } ); } );\n"
        "  keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int4\"; tables = ( "
        "{ name = \"k\"; key = \"id\"; } ); } ); }",
        (unsigned)sy_cluster_port(cluster, 0), (unsigned)ports[0], (unsigned)ports[1],
        (unsigned)sy_cluster_port(cluster, 0), (unsigned)ports[2]);
    append_mad(&text, "monitored", ports[3]);
    append_mad(&text, "inspected", ports[4]);
    append_mad(&text, "resolved", ports[5]);
    sy_buf_append(&text, ");", 3);
    router = sy_router_start(text.data, NULL, getenv("SY_TEST_LOOP"));
    sy_buf_release(&text);
}

static void start_servers(void)
{
    static const struct lie refusal = {"E Z", NULL, false, NULL};
    uint16_t port = sy_cluster_port(cluster, 0);
    liar = sy_scripted_server_start(ports[0], port, "switchyard");
    doorman = sy_scripted_server_start(ports[1], port, "switchyard");
    half = sy_scripted_server_start(ports[2], port, "switchyard");
    monitored = sy_scripted_server_start(ports[3], port, "switchyard monitor");
    inspected = sy_scripted_server_start(ports[4], port, "switchyard inspection");
    resolved = sy_scripted_server_start(ports[5], port, "switchyard resolver");
    tell(monitored, &refusal);
    tell(inspected, &refusal);
    tell(resolved, &refusal);
    sy_router_wait_log(router, "database=lies node=s0/0 from=down to=up");
    sy_router_wait_log(router, "database=door node=s0/0 from=down to=up");
    sy_router_wait_log(router, "database=half node=s1/0 from=down to=up");
    sy_router_wait_log(router, "event=\"schema read\" database=half relations");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "servers"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    sy_cluster_sql(cluster, 0, "app", "create table k(id int primary key)");
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        ports[i] = sy_free_port();
    start_router();
    start_servers();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_about_a_query_end_both_connections),
        cmocka_unit_test(errors_without_their_fields_are_errors_all_the_same),
        cmocka_unit_test(lies_about_a_batch_end_both_connections),
        cmocka_unit_test(a_server_that_falls_silent_hurts_its_client_only),
        cmocka_unit_test(a_connection_may_end_at_every_byte),
        cmocka_unit_test(floods_take_no_memory),
        cmocka_unit_test(settings_without_end_are_not_remembered),
        cmocka_unit_test(lies_at_the_door),
        cmocka_unit_test(lies_in_a_scram_exchange),
        cmocka_unit_test(floods_at_the_door_end),
        cmocka_unit_test(one_shard_that_lies_spoils_the_answer_only),
        cmocka_unit_test(look_ups_survive_what_they_are_told),
        cmocka_unit_test(look_ups_do_not_keep_the_router_from_ending),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0) /* of an earlier failure */
        failed++;
    sy_scripted_server_stop(&liar);
    sy_scripted_server_stop(&doorman);
    sy_scripted_server_stop(&half);
    sy_scripted_server_stop(&monitored);
    sy_scripted_server_stop(&inspected);
    sy_scripted_server_stop(&resolved);
    return sy_harness_finish(failed);
}
