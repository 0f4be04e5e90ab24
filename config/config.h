/*
 * What the operator declares: plain data, read from a libconfig file by a table of keys
 * (config/keys.c), with every problem of a file reported at once. Immutable after loading; shared
 * by reference count.
 */
#ifndef SY_CONFIG_CONFIG_H
#define SY_CONFIG_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/loop.h"

enum sy_engine_kind { SY_ENGINE_POSTGRES, SY_ENGINE_SQLITE, SY_ENGINE_MYSQL };
enum sy_pool_mode { SY_POOL_SESSION, SY_POOL_TRANSACTION, SY_POOL_STATEMENT };
enum sy_balance {
    SY_BALANCE_ROUND_ROBIN,
    SY_BALANCE_WEIGHTED,
    SY_BALANCE_LEAST_CONNECTIONS,
    SY_BALANCE_ZONE
};
enum sy_consistency {
    SY_CONSISTENCY_STRONG,
    SY_CONSISTENCY_SESSION,
    SY_CONSISTENCY_BOUNDED,
    SY_CONSISTENCY_EVENTUAL
};
enum sy_strategy { SY_STRATEGY_HASH, SY_STRATEGY_RANGE, SY_STRATEGY_LIST, SY_STRATEGY_GEO };
enum sy_auth_method {
    SY_AUTH_REJECT,
    SY_AUTH_TRUST,
    SY_AUTH_MD5,
    SY_AUTH_SCRAM_SHA_256,
    SY_AUTH_SCRAM_SHA_256_PLUS,
    SY_AUTH_CERT,
    SY_AUTH_PASSWORD
};
enum sy_placement_kind { SY_PLACEMENT_REFUSED, SY_PLACEMENT_LOCAL, SY_PLACEMENT_REFERENCE };
enum sy_scheduling_mode { SY_SCHEDULING_AUTO, SY_SCHEDULING_BATCH, SY_SCHEDULING_NORMAL };
enum sy_tls_mode { SY_TLS_DISABLE, SY_TLS_ALLOW, SY_TLS_REQUIRE };

/* The key types of keyspaces. */
enum sy_key_type {
    SY_KEY_INT2,
    SY_KEY_INT4,
    SY_KEY_INT8,
    SY_KEY_TEXT,
    SY_KEY_VARCHAR,
    SY_KEY_BPCHAR,
    SY_KEY_UUID,
    SY_KEY_DATE,
    SY_KEY_TIMESTAMP,
    SY_KEY_TIMESTAMPTZ
};

struct sy_config_user {
    const char *name;
    const char *password;                     /* clear text or NULL */
    const char *secret;                       /* "SCRAM-SHA-256$..." or "md5..." or NULL */
    bool admin, stats;                        /* console rights */
    uint32_t connections_max;                 /* 0: no limit */
    uint32_t statement_rate, connection_rate; /* in a second; 0: no limit */
    const char *server_user,
        *server_password; /* credentials at the servers; NULL: the client's own name */
};

struct sy_config_auth_rule {
    struct in6_addr network; /* IPv4 as mapped addresses */
    unsigned prefix_bits;    /* of 128 */
    bool any_address;
    bool local_socket;           /* address = "local" */
    const char *database, *user; /* NULL: all */
    bool tls_required;
    enum sy_auth_method method;
};

struct sy_config_node {
    const char
        *conninfo; /* libpq keywords; resolved by libpq (service files, pass files, defaults) */
    const char *zone;
    uint32_t weight;  /* 1 unless told */
    const char *user; /* the server user a pool uses; NULL: the client's own name */
    const char *password;
};

struct sy_config_shard {
    const char *name;
    struct sy_config_node *nodes;
    uint32_t node_count;
    uint32_t replicas; /* sqlite: replica files kept by the process */
};

/* Where something is declared: in the file, or in the catalog (docs/adr/0006). */
struct sy_config_origin {
    uint32_t line; /* of the file */
    bool catalog;
};

struct sy_config_keyspace_table {
    const char *schema; /* "public" unless written as schema.table */
    const char *name;
    const char *key;
    const char *hash_key;               /* geo: second column hashed within the region, or NULL */
    const char **per_shard_constraints; /* names; "*": all */
    uint32_t per_shard_constraint_count;
    struct sy_config_origin origin;
};

struct sy_config_range {
    const char *upto; /* exclusive upper bound as text; NULL: unbounded (must be last) */
    const char *shard;
};

struct sy_config_list_value {
    const char **values;
    uint32_t value_count;
    const char *shard;
};

struct sy_config_region {
    const char *name;
    const char **values; /* country codes; a region named "default" takes what no other has */
    uint32_t value_count;
    const char **shards;
    uint32_t shard_count;
    const char *zone;
};

struct sy_config_keyspace {
    const char *name;
    enum sy_strategy strategy;
    enum sy_key_type type;
    enum sy_key_type hash_type; /* geo with hash_key */
    struct sy_config_keyspace_table *tables;
    uint32_t table_count;
    const char **shards; /* hash: the shards that take part, in order; empty: all */
    uint32_t shard_count;
    struct sy_config_range *ranges;
    uint32_t range_count;
    struct sy_config_list_value *lists;
    uint32_t list_count;
    const char *default_shard; /* list: or NULL */
    struct sy_config_region *regions;
    uint32_t region_count;
    struct sy_config_origin origin;
};

struct sy_config_local_table {
    const char *schema, *name, *shard;
    struct sy_config_origin origin;
};

struct sy_config_reference_table {
    const char *schema, *name;
    struct sy_config_origin origin;
};

struct sy_config_database {
    const char *name;
    enum sy_engine_kind engine;
    struct {
        enum sy_pool_mode mode;
        uint32_t size;             /* server connections per node and user, across workers */
        uint32_t queue_max;        /* clients that may wait */
        uint64_t queue_timeout_us; /* query_wait_timeout */
        uint64_t idle_timeout_us;  /* of a server connection */
        uint64_t lifetime_us;
        uint64_t connect_timeout_us;
        uint32_t prepared_max;   /* server-side prepared statements kept per server connection */
        const char *reset_query; /* "DISCARD ALL" */
    } pool;
    struct {
        enum sy_balance balance;
        enum sy_consistency consistency;
        uint64_t max_lag_us;
        const char *zone; /* the router's own zone */
        uint64_t wait_us; /* how long a read may wait for a replica to catch up */
        bool enabled;
    } reads;
    struct {
        uint64_t query_us, transaction_us, idle_transaction_us, idle_client_us;
    } timeouts;                               /* 0: none */
    uint32_t clients_max;                     /* 0: no limit */
    uint32_t statement_rate, connection_rate; /* in a second; 0: no limit */
    bool hints;                               /* honour leading comments */
    bool allow_unsafe_objects; /* views/functions/triggers on sharded tables: all declared safe */
    const char **safe_objects; /* names of views and functions declared safe */
    uint32_t safe_object_count;
    struct sy_config_shard *shards;
    uint32_t shard_count;
    struct sy_config_keyspace *keyspaces;
    uint32_t keyspace_count;
    struct sy_config_reference_table *reference_tables;
    uint32_t reference_table_count;
    struct sy_config_local_table *local_tables;
    uint32_t local_table_count;
    enum sy_placement_kind
        default_placement; /* one shard and no keyspace: everything is local there */
    const char *default_placement_shard;
    const char *federation_node;
    struct {
        const char *user, *password; /* user NULL: users of the configuration only */
        const char *query;           /* NULL: router/session/auth_query.h has the default */
        uint64_t remember_us, remember_unknown_us;
    } auth_query;
    const char *data_dir; /* sqlite: folder of the shard files; NULL: <data_dir>/<database> */
};

struct sy_config {
    struct sy_arena arena;
    uint32_t refs;
    const char *path; /* NULL: built in */
    struct {
        const char *address; /* several separated by commas */
        uint16_t port;
        uint32_t backlog;
        const char *unix_socket_dir; /* NULL: none */
    } listen;
    struct {
        enum sy_tls_mode mode;
        const char *cert_file, *key_file, *ca_file;
    } client_tls;
    const char *data_dir;
    uint32_t workers; /* 0: one per core */
    enum sy_scheduling_mode worker_scheduling;
    uint32_t node_id; /* of the ids that this router makes */
    enum sy_loop_kind loop;
    uint32_t clients_max; /* max_client_conn */
    struct {
        const char *user; /* NULL: stays who it is */
        bool core_dumps, seccomp, allow_exec;
    } hardening;
    struct {
        uint32_t client_bytes, user_bytes, all_bytes; /* user, all: 0: no limit */
        uint64_t wait_us;
    } buffers;
    uint32_t unauthenticated_max, unauthenticated_per_address;
    uint32_t admin_slots;        /* of clients_max, kept for users with admin = true */
    uint32_t login_failures_max; /* of one address and user in a row before it has to wait; 0: no
                                    limit */
    uint64_t login_failure_wait_us;
    uint64_t statement_wait_max_us;
    uint64_t login_timeout_us;
    uint64_t shutdown_timeout_us;
    uint32_t template_cache_bytes;
    struct {
        enum sy_log_level level;
        enum sy_log_format format;
        const char *file;
    } log;
    struct {
        const char *address;
        uint16_t port;
        bool enabled;
    } metrics;
    struct sy_config_user *users;
    uint32_t user_count;
    struct sy_config_auth_rule *auth;
    uint32_t
        auth_count; /* 0: loopback may log in with scram (or trust where no user is configured) */
    struct sy_config_database *databases;
    uint32_t database_count;
};

/*
 * Reads and checks a file. Every problem is appended to *problems as "file:line: what; hint" lines,
 * warnings too. Ownership: *ret_config has one reference. Blocks: reads a file. Errors: SY_E_CONFIG
 * when there is any problem.
 */
SY_MUST_CHECK enum sy_status sy_config_load(const char *path, struct sy_config **ret_config,
                                            struct sy_buf *problems, struct sy_err *err);
/* The same from text, for tests. */
SY_MUST_CHECK enum sy_status sy_config_parse(const char *text, const char *name,
                                             struct sy_config **ret_config, struct sy_buf *problems,
                                             struct sy_err *err);
/* Appends the text of a file and a zero byte. Blocks. Errors: SY_E_CONFIG. */
SY_MUST_CHECK enum sy_status sy_config_read_file(const char *path, struct sy_buf *text,
                                                 struct sy_err *err);
/* What runs without -c: two embedded shards (with replicas) named s0 and s1, database "demo". */
SY_MUST_CHECK enum sy_status sy_config_builtin(struct sy_config **ret_config, struct sy_err *err);

/* A declaration that an admin made while the router ran, as config/declaration.h writes it. */
struct sy_config_declared {
    const char *database, *statement;
};
/*
 * Puts declarations, keyspaces first, beside those of a configuration that nobody else has seen
 * yet. What both declare alike counts as the file's; those of a database that is not in the file
 * are left out. Problems are appended as by sy_config_load(). Errors: SY_E_CONFIG when there is
 * any problem; the configuration is of no use then.
 */
SY_MUST_CHECK enum sy_status sy_config_declare(struct sy_config *config,
                                               const struct sy_config_declared *declared,
                                               uint32_t count, struct sy_buf *problems,
                                               struct sy_err *err);
/* The declaration of a table, as a statement would say it; false: there is none. Borrowed. */
struct sy_declaration;
bool sy_config_find_table(const struct sy_config_database *database, const char *schema,
                          const char *name, struct sy_declaration *ret_declaration,
                          struct sy_config_origin *ret_origin);
const struct sy_config_keyspace *sy_config_find_keyspace(const struct sy_config_database *database,
                                                         const char *name); /* or NULL */

/* Atomic reference count: a configuration is shared by threads. */
struct sy_config *sy_config_ref(struct sy_config *config);
void sy_config_unref(struct sy_config **config);

/* The reference documentation of all keys as Markdown, from the table that reads them. */
void sy_config_write_reference(struct sy_buf *out);
/* key | value | default | changeable rows for SHOW CONFIG, through a callback. Secrets never
 * appear. */
void sy_config_each_setting(const struct sy_config *config,
                            void (*row)(void *ctx, const char *key, const char *value,
                                        const char *default_value, bool changeable),
                            void *ctx);

#endif
