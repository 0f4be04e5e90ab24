/*
 * Who gets in and what the process may do: failed logins wait, slots are kept for admins, a client
 * certificate names its user, the certificate is renewed by SIGHUP, and the process has given up
 * root, new privileges and core dumps.
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
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/certificates.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

static struct sy_cluster *cluster;
static struct sy_router *router;
static char certificates[96];

/* SQLSTATE-like: "" when it got in, else the server's message. */
static const char *try_login(const char *words)
{
    static char text[512];
    char conninfo[512];
    snprintf(conninfo, sizeof(conninfo), "host=localhost hostaddr=127.0.0.1 port=%u dbname=app %s",
             (unsigned)sy_router_port(router), words);
    PGconn *connection = PQconnectdb(conninfo);
    snprintf(text, sizeof(text), "%s",
             PQstatus(connection) == CONNECTION_OK ? "" : PQerrorMessage(connection));
    PQfinish(connection);
    return text;
}

static void failed_logins_wait(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_non_null(strstr(try_login("user=guessed password=wrong sslmode=require"),
                               "password authentication failed"));
    assert_non_null(
        strstr(try_login("user=guessed password=right sslmode=require"), "too many failed logins"));
    assert_string_equal(try_login("user=other password=right"), ""); /* nobody else has to wait */
    const char *answer = "not tried";
    for (int i = 0; i < 300 && answer[0] != 0; i++) { /* once one failure is forgiven */
        sy_pause_ms(200);
        answer = try_login("user=guessed password=right sslmode=require");
    }
    assert_string_equal(answer, "");
    assert_string_equal(try_login("user=guessed password=right sslmode=require"),
                        ""); /* a success forgets them all */
}

static void slots_are_kept_for_admins(void **state)
{
    (void)state;
    PGconn *held[4];
    int count = 0;
    for (; count < 4; count++)
        held[count] = sy_router_connect(router, "app", "user=other password=right");
    assert_non_null(strstr(try_login("user=other password=right"), "too many clients"));
    assert_string_equal(try_login("user=boss password=right"), "");
    while (count > 0)
        PQfinish(held[--count]);
}

static void a_certificate_names_its_user(void **state)
{
    (void)state;
    char words[640];
    snprintf(words, sizeof(words),
             "user=localhost sslmode=verify-full sslrootcert=%s/ca.crt sslcert=%s/server.crt "
             "sslkey=%s/server.key",
             certificates, certificates, certificates);
    assert_string_equal(try_login(words), "");
    memcpy(words, "user=certified", 14); /* the certificate says localhost */
    assert_non_null(strstr(try_login(words), "certificate authentication failed"));
    snprintf(words, sizeof(words),
             "user=localhost sslmode=require sslcert=/nonexistent sslkey=/nonexistent");
    assert_non_null(strstr(try_login(words), "certificate authentication failed"));
    assert_non_null(
        strstr(try_login("user=localhost sslmode=disable"), "certificate authentication failed"));
}

static bool status_has(const char *wanted)
{
    char path[64], line[256];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)sy_router_pid(router));
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        found = found || strncmp(line, wanted, strlen(wanted)) == 0;
    if (file != NULL)
        fclose(file);
    return found;
}

static void the_process_gave_up_what_it_does_not_need(void **state)
{
    (void)state;
    assert_true(status_has("NoNewPrivs:\t1"));
#ifdef SY_HAVE_SECCOMP
    assert_true(status_has("Seccomp:\t2"));
#endif
    if (geteuid() == 0)
        assert_false(status_has("Uid:\t0"));
    char path[64];
    struct stat maps;
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)sy_router_pid(router));
    assert_int_equal(stat(path, &maps), 0);
    assert_int_equal(maps.st_uid,
                     0); /* not dumpable: its memory belongs to root, not to its own user */
}

static void start_router(void)
{
    char databases[512], extra[1600];
    snprintf(databases, sizeof(databases),
             "{ name = \"app\"; engine = \"postgres\"; pool = { size = 5; };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=app\"; user = "
             "\"postgres\"; } ); } ); } );",
             (unsigned)sy_cluster_port(cluster, 0));
    snprintf(
        extra, sizeof(extra),
        "login_failures_max = 3; login_failure_wait = \"4s\"; clients_max = 6; admin_slots = 2;\n"
        "client_tls = { mode = \"allow\"; cert_file = \"%s/server.crt\"; key_file = "
        "\"%s/server.key\"; ca_file = "
        "\"%s/ca.crt\"; };\n%s\n"
        "users = ( { name = \"guessed\"; password = \"right\"; }, { name = \"other\"; password = "
        "\"right\"; },\n"
        "  { name = \"boss\"; password = \"right\"; admin = true; }, { name = \"localhost\"; }, { "
        "name = \"certified\"; } );\n"
        "auth = ( { address = \"127.0.0.1/32\"; user = \"localhost\"; method = \"cert\"; },\n"
        "  { address = \"127.0.0.1/32\"; user = \"certified\"; method = \"cert\"; },\n"
        "  { address = \"127.0.0.1/32\"; method = \"scram-sha-256\"; } );\n",
        certificates, certificates, certificates,
        geteuid() == 0 ? "hardening = { user = \"postgres\"; };" : "");
    router = sy_router_start(databases, extra, NULL);
}

int main(void)
{
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "doors"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    const char *tmp = getenv("TMPDIR");
    snprintf(certificates, sizeof(certificates), "%.40s/sy-doors-%d", tmp == NULL ? "/tmp" : tmp,
             (int)getpid());
    sy_make_dir(certificates);
    sy_test_certificates(certificates, NULL);
    start_router();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_logins_wait),
        cmocka_unit_test(slots_are_kept_for_admins),
        cmocka_unit_test(a_certificate_names_its_user),
        cmocka_unit_test(the_process_gave_up_what_it_does_not_need),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    sy_remove_tree(certificates);
    return sy_harness_finish(failed);
}
