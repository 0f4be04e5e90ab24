/* TLS to servers: which sslmode means what, contexts, and the check of the server's name. */
#ifndef SY_ROUTER_ENGINE_POSTGRES_TLS_H
#define SY_ROUTER_ENGINE_POSTGRES_TLS_H

#include <openssl/types.h>

#include "base/err.h"
#include "router/topology/topology.h"

enum pg_tls_mode {
    PG_TLS_OFF,
    PG_TLS_TRY,     /* allow and prefer: with TLS if the server has it, else without */
    PG_TLS_ENCRYPT, /* require: encrypted, the server is not verified */
    PG_TLS_VERIFY_CA,
    PG_TLS_VERIFY_FULL,
};

/* What the node's sslmode asks for; a Unix socket never uses TLS, and "require" with a root
 * certificate verifies it, both as in libpq. */
enum pg_tls_mode pg_tls_mode_of(const struct sy_node *node);

/*
 * A context for the node's certificates: cached, made anew when a file changed. Ownership: a
 * reference. Blocks: reads certificate files the first time. Errors: SY_E_CONNECT with the file.
 */
SY_MUST_CHECK enum sy_status pg_tls_context(const struct sy_node *node, enum pg_tls_mode mode,
                                            SSL_CTX **ret_ctx, struct sy_err *err);
/* verify-full: does the certificate name the host? Errors: SY_E_CONNECT. */
SY_MUST_CHECK enum sy_status pg_tls_check_name(const struct sy_node *node, SSL *ssl,
                                               struct sy_err *err);
/* The name for SNI, NULL for a numeric address. */
const char *pg_tls_server_name(const struct sy_node *node);

#endif
