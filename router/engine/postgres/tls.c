/*
 * Contexts are cached for the process by (mode, files), because reading a bundle of root
 * certificates takes milliseconds; a changed modification time replaces the entry, so certificates
 * can be renewed in place.
 */
#include "router/engine/postgres/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CACHE_ENTRIES = 64, KEY_BYTES = 1024, PATH_BYTES = 512 };

struct entry {
    char key[KEY_BYTES];
    SSL_CTX *ctx;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry cache[CACHE_ENTRIES]; /* under lock; replaced in turn */
static unsigned next_entry;

/* The root certificates: as given, else libpq's default file where it exists; "" means the
 * system's. */
static void root_file(const struct sy_node *node, char ret_path[static PATH_BYTES])
{
    ret_path[0] = '\0';
    const char *given = node->sslrootcert;
    if (given[0] != '\0' && strcmp(given, "system") != 0) {
        snprintf(ret_path, PATH_BYTES, "%s", given);
        return;
    }
    const char *home = getenv("HOME");
    if (given[0] != '\0' || home == NULL)
        return;
    struct stat info;
    snprintf(ret_path, PATH_BYTES, "%s/.postgresql/root.crt", home);
    if (stat(ret_path, &info) != 0)
        ret_path[0] = '\0';
}

enum pg_tls_mode pg_tls_mode_of(const struct sy_node *node)
{
    static const struct {
        const char *name;
        enum pg_tls_mode mode;
    } modes[] = {
        {"disable", PG_TLS_OFF},         {"allow", PG_TLS_TRY},
        {"prefer", PG_TLS_TRY},          {"require", PG_TLS_ENCRYPT},
        {"verify-ca", PG_TLS_VERIFY_CA}, {"verify-full", PG_TLS_VERIFY_FULL},
    };
    const char *host = node->hostaddr[0] != '\0' ? node->hostaddr : node->host;
    if (host[0] == '/' || host[0] == '@')
        return PG_TLS_OFF;
    enum pg_tls_mode mode = PG_TLS_VERIFY_FULL;
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, node->sslmode) == 0)
            mode = modes[i].mode;
    char path[PATH_BYTES];
    root_file(node, path);
    if (mode == PG_TLS_ENCRYPT && path[0] != '\0')
        mode = PG_TLS_VERIFY_CA;
    return mode;
}

static enum sy_status tls_error(struct sy_err *err, const char *what, const char *path)
{
    unsigned long code = ERR_get_error();
    char text[160] = "unknown error";
    if (code != 0)
        ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    return sy_err_set(err, SY_E_CONNECT, "cannot use %s \"%s\": %s", what, path, text);
}

static enum sy_status load_files(SSL_CTX *ctx, const struct sy_node *node, enum pg_tls_mode mode,
                                 const char *root, struct sy_err *err)
{
    if (mode >= PG_TLS_VERIFY_CA) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        int loaded = root[0] != '\0' ? SSL_CTX_load_verify_locations(ctx, root, NULL)
                                     : SSL_CTX_set_default_verify_paths(ctx);
        if (loaded != 1)
            return tls_error(err, "the root certificate file", root);
        if (node->sslcrl[0] != '\0') {
            X509_STORE *store = SSL_CTX_get_cert_store(ctx);
            if (X509_STORE_load_locations(store, node->sslcrl, NULL) != 1)
                return tls_error(err, "the certificate revocation list", node->sslcrl);
            X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        }
    }
    if (node->sslcert[0] == '\0')
        return SY_OK;
    if (SSL_CTX_use_certificate_chain_file(ctx, node->sslcert) != 1)
        return tls_error(err, "the client certificate", node->sslcert);
    const char *key = node->sslkey[0] != '\0' ? node->sslkey : node->sslcert;
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return tls_error(err, "the client key", key);
    return SY_OK;
}

static enum sy_status make_context(const struct sy_node *node, enum pg_tls_mode mode,
                                   const char *root, SSL_CTX **ret_ctx, struct sy_err *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "cannot make a TLS context");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    enum sy_status status = load_files(ctx, node, mode, root, err);
    if (status != SY_OK) {
        SSL_CTX_free(ctx);
        return status;
    }
    *ret_ctx = ctx;
    return SY_OK;
}

static long long changed_at(const char *path)
{
    struct stat info;
    if (path[0] == '\0' || stat(path, &info) != 0)
        return 0;
    return (long long)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

enum sy_status pg_tls_context(const struct sy_node *node, enum pg_tls_mode mode, SSL_CTX **ret_ctx,
                              struct sy_err *err)
{
    char root[PATH_BYTES], key[KEY_BYTES];
    root_file(node, root);
    int bytes = snprintf(key, sizeof(key), "%d|%s|%lld|%s|%lld|%s|%lld|%s|%lld", (int)mode, root,
                         changed_at(root), node->sslcert, changed_at(node->sslcert), node->sslkey,
                         changed_at(node->sslkey), node->sslcrl, changed_at(node->sslcrl));
    if (bytes < 0 || (size_t)bytes >= sizeof(key))
        return sy_err_set(err, SY_E_CONNECT, "the certificate paths of node %s are too long",
                          node->name);
    enum sy_status status = SY_OK;
    SSL_CTX *ctx = NULL;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < CACHE_ENTRIES && ctx == NULL; i++)
        if (cache[i].ctx != NULL && strcmp(cache[i].key, key) == 0)
            ctx = cache[i].ctx;
    if (ctx == NULL) {
        status = make_context(node, mode, root, &ctx, err);
        if (status == SY_OK) {
            struct entry *place = &cache[next_entry++ % CACHE_ENTRIES];
            SSL_CTX_free(place->ctx);
            place->ctx = ctx;
            memcpy(place->key, key, sizeof(key));
        }
    }
    if (status == SY_OK) {
        SSL_CTX_up_ref(ctx);
        *ret_ctx = ctx;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static bool is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

const char *pg_tls_server_name(const struct sy_node *node)
{
    return node->host[0] == '\0' || is_numeric(node->host) ? NULL : node->host;
}

enum sy_status pg_tls_check_name(const struct sy_node *node, SSL *ssl, struct sy_err *err)
{
    const char *host = node->host[0] != '\0' ? node->host : node->hostaddr;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate == NULL)
        return sy_err_set(err, SY_E_CONNECT, "node %s showed no certificate", node->name);
    int match = is_numeric(host) ? X509_check_ip_asc(certificate, host, 0)
                                 : X509_check_host(certificate, host, 0,
                                                   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
    X509_free(certificate);
    if (match == 1)
        return SY_OK;
    enum sy_status status = sy_err_set(
        err, SY_E_CONNECT, "the certificate of node %s is not for host \"%s\"", node->name, host);
    sy_err_hint(
        err, "sslmode=verify-ca in the conninfo accepts any host name of the trusted authority.");
    return status;
}
