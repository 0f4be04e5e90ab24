/*
 * A password that a client has typed is in the router's memory only as long as it is being checked:
 * after the login no byte of the process holds it, right or wrong, plain or over TLS. What must be
 * there, the application's name, is found by the same search.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "router/auth/scram.h"
#include "tests/harness/certificates.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

enum { WORD_BYTES = 24, PIECE_BYTES = 1 << 20, MAPPING_BYTES_MAX = 1 << 30 };

static struct sy_router *router;
static char certificates[96];

/* A word that no process can know before it was sent. */
static void make_word(char ret_word[WORD_BYTES + 1])
{
    unsigned char raw[WORD_BYTES];
    assert_int_equal(RAND_bytes(raw, sizeof(raw)), 1);
    for (int i = 0; i < WORD_BYTES; i++)
        ret_word[i] = (char)('a' + raw[i] % 26);
    ret_word[WORD_BYTES] = '\0';
}

static bool piece_has(int memory, uint64_t from, uint64_t to, const char *word, char *piece)
{
    for (uint64_t at = from; at < to; at += PIECE_BYTES - WORD_BYTES) {
        uint64_t left = to - at;
        ssize_t got = pread(memory, piece, left < PIECE_BYTES ? left : PIECE_BYTES, (off_t)at);
        if (got > 0 && memmem(piece, (size_t)got, word, WORD_BYTES) != NULL)
            return true;
    }
    return false;
}

/* In whatever the process may write. Sanitizers reserve mappings that would take hours. */
static bool router_holds(const char *word)
{
    char path[64], line[512], *piece = malloc(PIECE_BYTES);
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)sy_router_pid(router));
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)sy_router_pid(router));
    FILE *maps = fopen(path, "re");
    assert_true(memory >= 0 && maps != NULL && piece != NULL);
    while (!found && fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from, to;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w' && to - from <= MAPPING_BYTES_MAX)
            found = piece_has(memory, from, to, word, piece);
    }
    fclose(maps);
    close(memory);
    free(piece);
    return found;
}

static void write_secret(const char *password, struct sy_buf *out)
{
    struct sy_scram_secret secret;
    const uint8_t *salt = (const uint8_t *)"0123456789abcdef";
    assert_int_equal(sy_scram_secret_derive(sy_slice_of(password), salt, 16, 4096, &secret, NULL),
                     SY_OK);
    sy_scram_secret_write(&secret, out);
    sy_buf_append_u8(out, 0);
}

static const char databases[] =
    "{ name = \"app\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; "
    "replicas = 0; } ); } );";

static const char *settings(const char *secret)
{
    static char text[1024];
    snprintf(text, sizeof(text),
             "login_failures_max = 0;\nauth = ( { method = \"password\"; } );\nhardening = { "
             "core_dumps = true; };\n"
             "client_tls = { mode = \"allow\"; cert_file = \"%s/server.crt\"; key_file = "
             "\"%s/server.key\"; };\nusers = ( { name = \"app\"; secret = \"%s\"; } );\n",
             certificates, certificates, secret);
    return text;
}

static PGconn *connect_with(const char *password, const char *name, const char *sslmode)
{
    char conninfo[256];
    snprintf(
        conninfo, sizeof(conninfo),
        "host=127.0.0.1 port=%u user=app dbname=app password=%s application_name=%s sslmode=%s",
        (unsigned)sy_router_port(router), password, name, sslmode);
    return PQconnectdb(conninfo);
}

static void a_typed_password_leaves_no_trace(void **state)
{
    (void)state;
    static const char *const modes[] = {"disable", "require"};
    for (size_t i = 0; i < 2; i++) {
        print_message("sslmode=%s\n", modes[i]);
        char password[WORD_BYTES + 1], name[WORD_BYTES + 1], wrong[WORD_BYTES + 1];
        struct sy_buf secret = {0};
        make_word(password);
        make_word(name);
        make_word(wrong);
        write_secret(password, &secret);
        sy_router_reload(router, databases, settings(secret.data));
        PGconn *connection = connect_with(password, name, modes[i]);
        for (int n = 0; n < 600 && PQstatus(connection) != CONNECTION_OK; n++) {
            PQfinish(connection); /* until the reload is known */
            sy_pause_ms(50);
            connection = connect_with(password, name, modes[i]);
        }
        assert_int_equal(PQstatus(connection), CONNECTION_OK);
        assert_string_equal(sy_ask(connection, "select 1"), "1");
        PGconn *refused = connect_with(wrong, name, modes[i]);
        assert_int_equal(PQstatus(refused), CONNECTION_BAD);
        PQfinish(refused);
        assert_true(router_holds(name));
        assert_false(router_holds(password));
        assert_false(router_holds(wrong));
        PQfinish(connection);
        sy_buf_release(&secret);
    }
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(certificates, sizeof(certificates), "%.40s/sy-memory-%d", tmp == NULL ? "/tmp" : tmp,
             (int)getpid());
    sy_make_dir(certificates);
    sy_test_certificates(certificates, NULL);
    struct sy_buf secret = {0};
    write_secret("nobody's", &secret);
    router = sy_router_start(databases, settings(secret.data), getenv("SY_TEST_LOOP"));
    sy_buf_release(&secret);
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_typed_password_leaves_no_trace)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    sy_remove_tree(certificates);
    return sy_harness_finish(failed);
}
