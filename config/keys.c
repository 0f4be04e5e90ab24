/* Every key that a configuration file may hold. Data only: config/load.c reads by it. */
#include "config/keys.h"

#include "config/config.h"

#define END_ROW                                                                                    \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define WORDS(...) ((const struct sy_key_word[]){__VA_ARGS__, {NULL, 0}})
#define AT(type, member) .offset = offsetof(type, member)
#define COUNT(type, member) .count_offset = offsetof(type, member)

static const struct sy_key_word engine_words[] = {{"postgres", SY_ENGINE_POSTGRES},
                                                  {"sqlite", SY_ENGINE_SQLITE},
                                                  {"mysql", SY_ENGINE_MYSQL},
                                                  {NULL, 0}};
static const struct sy_key_word pool_mode_words[] = {{"session", SY_POOL_SESSION},
                                                     {"transaction", SY_POOL_TRANSACTION},
                                                     {"statement", SY_POOL_STATEMENT},
                                                     {NULL, 0}};
static const struct sy_key_word balance_words[] = {
    {"round_robin", SY_BALANCE_ROUND_ROBIN},
    {"weighted", SY_BALANCE_WEIGHTED},
    {"least_connections", SY_BALANCE_LEAST_CONNECTIONS},
    {"zone", SY_BALANCE_ZONE},
    {NULL, 0}};
static const struct sy_key_word consistency_words[] = {{"strong", SY_CONSISTENCY_STRONG},
                                                       {"session", SY_CONSISTENCY_SESSION},
                                                       {"bounded", SY_CONSISTENCY_BOUNDED},
                                                       {"eventual", SY_CONSISTENCY_EVENTUAL},
                                                       {NULL, 0}};
static const struct sy_key_word strategy_words[] = {{"hash", SY_STRATEGY_HASH},
                                                    {"range", SY_STRATEGY_RANGE},
                                                    {"list", SY_STRATEGY_LIST},
                                                    {"geo", SY_STRATEGY_GEO},
                                                    {NULL, 0}};
static const struct sy_key_word method_words[] = {
    {"reject", SY_AUTH_REJECT},
    {"trust", SY_AUTH_TRUST},
    {"md5", SY_AUTH_MD5},
    {"scram-sha-256", SY_AUTH_SCRAM_SHA_256},
    {"scram-sha-256-plus", SY_AUTH_SCRAM_SHA_256_PLUS},
    {"cert", SY_AUTH_CERT},
    {"password", SY_AUTH_PASSWORD},
    {NULL, 0}};
static const struct sy_key_word tls_words[] = {
    {"disable", SY_TLS_DISABLE}, {"allow", SY_TLS_ALLOW}, {"require", SY_TLS_REQUIRE}, {NULL, 0}};
static const struct sy_key_word type_words[] = {{"int2", SY_KEY_INT2},
                                                {"smallint", SY_KEY_INT2},
                                                {"int4", SY_KEY_INT4},
                                                {"integer", SY_KEY_INT4},
                                                {"int8", SY_KEY_INT8},
                                                {"bigint", SY_KEY_INT8},
                                                {"text", SY_KEY_TEXT},
                                                {"varchar", SY_KEY_VARCHAR},
                                                {"bpchar", SY_KEY_BPCHAR},
                                                {"char", SY_KEY_BPCHAR},
                                                {"uuid", SY_KEY_UUID},
                                                {"date", SY_KEY_DATE},
                                                {"timestamp", SY_KEY_TIMESTAMP},
                                                {"timestamptz", SY_KEY_TIMESTAMPTZ},
                                                {NULL, 0}};
static const struct sy_key_word loop_words[] = {
    {"auto", SY_LOOP_AUTO}, {"io_uring", SY_LOOP_IO_URING}, {"epoll", SY_LOOP_EPOLL}, {NULL, 0}};
static const struct sy_key_word scheduling_words[] = {{"auto", SY_SCHEDULING_AUTO},
                                                      {"batch", SY_SCHEDULING_BATCH},
                                                      {"normal", SY_SCHEDULING_NORMAL},
                                                      {NULL, 0}};
static const struct sy_key_word level_words[] = {{"debug", SY_LOG_DEBUG},
                                                 {"info", SY_LOG_INFO},
                                                 {"warn", SY_LOG_WARN},
                                                 {"error", SY_LOG_ERROR},
                                                 {NULL, 0}};
static const struct sy_key_word format_words[] = {
    {"logfmt", SY_LOG_LOGFMT}, {"json", SY_LOG_JSON}, {NULL, 0}};

#define T struct sy_config_user
static const struct sy_key_row user_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true,
     .about = "The name a client logs in with."},
    {"password", SY_KEY_IS_STRING, AT(T, password), .secret = true,
     .about = "The password in clear text; prefer `secret`."},
    {"secret", SY_KEY_IS_STRING, AT(T, secret), .secret = true,
     .about = "The stored form of the password: `SCRAM-SHA-256$...` or `md5...`, as in pg_authid."},
    {"admin", SY_KEY_IS_BOOL, AT(T, admin), .default_text = "false",
     .about = "May use every command of the admin console."},
    {"stats", SY_KEY_IS_BOOL, AT(T, stats), .default_text = "false",
     .about = "May use the SHOW commands of the admin console."},
    {"connections_max", SY_KEY_IS_UINT32, AT(T, connections_max), .default_text = "0",
     .about = "Client connections of this user at once; 0: no limit of its own. Beyond: 53300."},
    {"statements_per_second", SY_KEY_IS_UINT32, AT(T, statement_rate), .default_text = "0",
     .most = 1000000,
     .about = "Statements of this user in a second, over all its connections and with bursts of as "
              "many; 0: no limit. More wait (`statement_wait_max`), then get 53400."},
    {"connections_per_second", SY_KEY_IS_UINT32, AT(T, connection_rate), .default_text = "0",
     .most = 1000000,
     .about = "Logins of this user in a second that succeed; 0: no limit. More get 53400."},
    {"server_user", SY_KEY_IS_STRING, AT(T, server_user),
     .about = "The user that server connections of this client log in as; default: the client's "
              "own name."},
    {"server_password", SY_KEY_IS_STRING, AT(T, server_password), .secret = true,
     .about = "The password for `server_user`; default: the client's `password`."},
    END_ROW};
#undef T

/* The address of a rule is parsed by load.c: it fills several fields. */
#define T struct sy_config_auth_rule
static const struct sy_key_row auth_keys[] = {
    {"address", SY_KEY_IS_STRING, .offset = SIZE_MAX,
     .about = "Where the client comes from: `10.0.0.0/8`, `::1/128`, one address, `all`, or "
              "`local` for the "
              "Unix socket. Default: all."},
    {"database", SY_KEY_IS_STRING, AT(T, database),
     .about = "Only for this database; default: all."},
    {"user", SY_KEY_IS_STRING, AT(T, user), .about = "Only for this user; default: all."},
    {"tls", SY_KEY_IS_BOOL, AT(T, tls_required), .default_text = "false",
     .about = "The rule matches only connections with TLS."},
    {"method", SY_KEY_IS_WORD, AT(T, method), .words = method_words, .required = true,
     .about = "How the client proves who it is."},
    END_ROW};
#undef T

#define T struct sy_config_node
static const struct sy_key_row node_keys[] = {
    {"conninfo", SY_KEY_IS_STRING, AT(T, conninfo), .required = true, .secret = true,
     .about = "Where the server is, in libpq's keywords: `host=10.0.0.1 port=5432 dbname=blog`."},
    {"zone", SY_KEY_IS_STRING, AT(T, zone),
     .about = "Where the server stands, for `balance = \"zone\"`."},
    {"weight", SY_KEY_IS_UINT32, AT(T, weight), .default_text = "1", .most = 1000000,
     .about = "Its share of reads under `balance = \"weighted\"`; 0: no reads."},
    {"user", SY_KEY_IS_STRING, AT(T, user),
     .about = "The server user of every pool on this node; default: see `users.server_user`."},
    {"password", SY_KEY_IS_STRING, AT(T, password), .secret = true,
     .about = "The password for `user`."},
    END_ROW};
#undef T

#define T struct sy_config_shard
static const struct sy_key_row shard_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true,
     .about = "The shard's name, used everywhere."},
    {"nodes", SY_KEY_IS_GROUPS, AT(T, nodes), COUNT(T, node_count), .children = node_keys,
     .element_bytes = sizeof(struct sy_config_node), .elements_max = SY_LIMIT_NODES_PER_SHARD,
     .about = "The servers that hold a copy of the shard: one primary, any number of replicas; "
              "which is which "
              "is asked of the servers. Not for the sqlite engine."},
    {"replicas", SY_KEY_IS_UINT32, AT(T, replicas), .default_text = "1",
     .most = SY_LIMIT_NODES_PER_SHARD - 1,
     .about = "sqlite only: copies of the shard file that the process keeps for reads."},
    END_ROW};
#undef T

/* The table's name is split at the dot by load.c. */
#define T struct sy_config_keyspace_table
static const struct sy_key_row keyspace_table_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true,
     .about = "The table, `posts` or `schema.posts`; without a schema: public."},
    {"key", SY_KEY_IS_STRING, AT(T, key), .required = true,
     .about = "The column whose value decides on the shard."},
    {"hash_key", SY_KEY_IS_STRING, AT(T, hash_key),
     .about = "geo only: a second column, hashed over the shards of the region."},
    {"per_shard_constraints", SY_KEY_IS_STRINGS, AT(T, per_shard_constraints),
     COUNT(T, per_shard_constraint_count),
     .about = "Names of unique, primary key, exclusion and foreign key constraints without the "
              "sharding key that are accepted although each shard enforces them for itself only; "
              "`*`: all of the table's. Others are refused when they are defined."},
    END_ROW};
#undef T

#define T struct sy_config_range
static const struct sy_key_row range_keys[] = {
    {"upto", SY_KEY_IS_STRING, AT(T, upto),
     .about =
         "The upper bound, exclusive; the last range has none. Lower bound: the range before."},
    {"shard", SY_KEY_IS_STRING, AT(T, shard), .required = true, .about = "The shard of the range."},
    END_ROW};
#undef T

#define T struct sy_config_list_value
static const struct sy_key_row list_keys[] = {
    {"values", SY_KEY_IS_STRINGS, AT(T, values), COUNT(T, value_count), .required = true,
     .about = "Key values."},
    {"shard", SY_KEY_IS_STRING, AT(T, shard), .required = true, .about = "Their shard."},
    END_ROW};
#undef T

#define T struct sy_config_region
static const struct sy_key_row region_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true,
     .about = "The region; one named `default` takes every key that no other lists."},
    {"values", SY_KEY_IS_STRINGS, AT(T, values), COUNT(T, value_count),
     .about = "Country codes (or other key values) of the region."},
    {"shards", SY_KEY_IS_STRINGS, AT(T, shards), COUNT(T, shard_count), .required = true,
     .about = "Its shards; more than one needs `hash_key` on every table of the keyspace."},
    {"zone", SY_KEY_IS_STRING, AT(T, zone), .about = "The region's zone."},
    END_ROW};
#undef T

#define T struct sy_config_keyspace
static const struct sy_key_row keyspace_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true, .about = "The keyspace's name."},
    {"strategy", SY_KEY_IS_WORD, AT(T, strategy), .words = strategy_words, .required = true,
     .about = "How keys are placed."},
    {"type", SY_KEY_IS_WORD, AT(T, type), .words = type_words, .required = true,
     .about = "The type of the key columns."},
    {"hash_type", SY_KEY_IS_WORD, AT(T, hash_type), .words = type_words, .default_text = "int8",
     .about = "geo: the type of the `hash_key` columns."},
    {"tables", SY_KEY_IS_GROUPS, AT(T, tables), COUNT(T, table_count),
     .children = keyspace_table_keys, .element_bytes = sizeof(struct sy_config_keyspace_table),
     .origin_offset = offsetof(struct sy_config_keyspace_table, origin),
     .about = "The tables of the keyspace."},
    {"shards", SY_KEY_IS_STRINGS, AT(T, shards), COUNT(T, shard_count),
     .elements_max = SY_LIMIT_SHARDS, .about = "hash: the shards that take part; default: all."},
    {"ranges", SY_KEY_IS_GROUPS, AT(T, ranges), COUNT(T, range_count), .children = range_keys,
     .element_bytes = sizeof(struct sy_config_range),
     .about = "range: the ranges in ascending order."},
    {"lists", SY_KEY_IS_GROUPS, AT(T, lists), COUNT(T, list_count), .children = list_keys,
     .element_bytes = sizeof(struct sy_config_list_value),
     .about = "list: values and their shards."},
    {"default_shard", SY_KEY_IS_STRING, AT(T, default_shard),
     .about = "list: where values go that are not listed; default: nowhere (a write gets 23514)."},
    {"regions", SY_KEY_IS_GROUPS, AT(T, regions), COUNT(T, region_count), .children = region_keys,
     .element_bytes = sizeof(struct sy_config_region), .about = "geo: the regions."},
    END_ROW};
#undef T

#define T struct sy_config_local_table
static const struct sy_key_row local_table_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true, .about = "The table."},
    {"shard", SY_KEY_IS_STRING, AT(T, shard), .required = true,
     .about = "The shard that holds it."},
    END_ROW};
#undef T

#define T struct sy_config_database
static const struct sy_key_row pool_keys[] = {
    {"mode", SY_KEY_IS_WORD, AT(T, pool.mode), .words = pool_mode_words,
     .default_text = "transaction", .about = "How long a client keeps a server connection."},
    {"size", SY_KEY_IS_UINT32, AT(T, pool.size), .default_text = "20", .least = 1, .most = 10000,
     .about = "Server connections per node and server user, over all workers."},
    {"queue_max", SY_KEY_IS_UINT32, AT(T, pool.queue_max), .default_text = "10000", .most = 1000000,
     .about = "Clients that may wait for a server connection; one more gets 53300."},
    {"queue_timeout", SY_KEY_IS_DURATION, AT(T, pool.queue_timeout_us), .default_text = "120s",
     .about =
         "How long a client waits for a server connection before it gets an error; 0: for ever."},
    {"idle_timeout", SY_KEY_IS_DURATION, AT(T, pool.idle_timeout_us), .default_text = "600s",
     .about = "A server connection unused for so long is closed; 0: never."},
    {"lifetime", SY_KEY_IS_DURATION, AT(T, pool.lifetime_us), .default_text = "3600s",
     .about =
         "A server connection older than this is closed when it is next given back; 0: never."},
    {"connect_timeout", SY_KEY_IS_DURATION, AT(T, pool.connect_timeout_us), .default_text = "15s",
     .about = "How long opening a server connection may take, login included."},
    {"prepared_max", SY_KEY_IS_UINT32, AT(T, pool.prepared_max), .default_text = "1000", .least = 1,
     .most = 100000, .about = "Prepared statements kept on each server connection."},
    {"reset_query", SY_KEY_IS_STRING, AT(T, pool.reset_query), .default_text = "DISCARD ALL",
     .about = "Run before a server connection whose session state changed serves another client."},
    END_ROW};

static const struct sy_key_row reads_keys[] = {
    {"enabled", SY_KEY_IS_BOOL, AT(T, reads.enabled), .default_text = "true",
     .about = "Send statements that are proven read-only to replicas."},
    {"balance", SY_KEY_IS_WORD, AT(T, reads.balance), .words = balance_words,
     .default_text = "round_robin", .about = "How a replica is chosen."},
    {"consistency", SY_KEY_IS_WORD, AT(T, reads.consistency), .words = consistency_words,
     .default_text = "session",
     .about =
         "strong: primary only; session: a client always sees its own writes; bounded: a lag below "
         "`max_lag`; eventual: any replica."},
    {"max_lag", SY_KEY_IS_DURATION, AT(T, reads.max_lag_us), .default_text = "10s",
     .about = "A replica that lags by more is left out until it has caught up."},
    {"zone", SY_KEY_IS_STRING, AT(T, reads.zone), .about = "The zone that this router stands in."},
    {"wait", SY_KEY_IS_DURATION, AT(T, reads.wait_us), .default_text = "0s",
     .about = "How long a read may wait for a replica to reach the client's last write before the "
              "primary "
              "serves it."},
    END_ROW};

static const struct sy_key_row timeout_keys[] = {
    {"query", SY_KEY_IS_DURATION, AT(T, timeouts.query_us), .default_text = "0s",
     .about = "A statement that runs longer is cancelled (57014); 0: no limit."},
    {"transaction", SY_KEY_IS_DURATION, AT(T, timeouts.transaction_us), .default_text = "0s",
     .about = "A transaction that lasts longer ends with its connection (25P03); 0: no limit."},
    {"idle_in_transaction", SY_KEY_IS_DURATION, AT(T, timeouts.idle_transaction_us),
     .default_text = "0s",
     .about =
         "A client idle inside a transaction for longer is disconnected (25P03); 0: no limit."},
    {"idle_client", SY_KEY_IS_DURATION, AT(T, timeouts.idle_client_us), .default_text = "0s",
     .about =
         "A client idle outside a transaction for longer is disconnected (57P05); 0: no limit."},
    END_ROW};

static const struct sy_key_row federation_keys[] = {
    {"node", SY_KEY_IS_STRING, AT(T, federation_node),
     .about =
         "The shard whose server runs statements that join or combine rows of several shards."},
    END_ROW};

static const struct sy_key_row auth_query_keys[] = {
    {"user", SY_KEY_IS_STRING, AT(T, auth_query.user),
     .about = "The server user that looks passwords up, over connections that serve nothing else. "
              "Without it only `users` may log in."},
    {"password", SY_KEY_IS_STRING, AT(T, auth_query.password), .secret = true,
     .about = "Its password; default: what the node's conninfo has for this user."},
    {"query", SY_KEY_IS_STRING, AT(T, auth_query.query),
     .about = "A query with $1 for the user's name that gives two columns, the name and the stored "
              "password. Default: `SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE "
              "rolname OPERATOR(pg_catalog.=) $1`, which needs a superuser: docs/operating.md has "
              "a function that does not. Names in it must be qualified: search_path is empty."},
    {"remember", SY_KEY_IS_DURATION, AT(T, auth_query.remember_us), .default_text = "10s",
     .most = 3600 * (uint64_t)1000000,
     .about = "How long an answer is used again; 0: every login asks. A password that did not fit "
              "makes the next login ask."},
    {"remember_unknown", SY_KEY_IS_DURATION, AT(T, auth_query.remember_unknown_us),
     .default_text = "2s", .most = 3600 * (uint64_t)1000000,
     .about = "The same for a user that does not exist or may not log in."},
    END_ROW};

static const struct sy_key_row database_keys[] = {
    {"name", SY_KEY_IS_STRING, AT(T, name), .required = true,
     .about = "The name clients connect to."},
    {"engine", SY_KEY_IS_WORD, AT(T, engine), .words = engine_words, .default_text = "postgres",
     .about = "What runs behind the shards."},
    {"pool", SY_KEY_IS_GROUP, .offset = 0, .children = pool_keys, .about = "Server connections."},
    {"reads", SY_KEY_IS_GROUP, .offset = 0, .children = reads_keys, .about = "Reads on replicas."},
    {"timeouts", SY_KEY_IS_GROUP, .offset = 0, .children = timeout_keys,
     .about = "Time limits of clients."},
    {"federation", SY_KEY_IS_GROUP, .offset = 0, .children = federation_keys,
     .about = "Statements that no simpler step can answer."},
    {"auth_query", SY_KEY_IS_GROUP, .offset = 0, .children = auth_query_keys,
     .about = "Users that are known to the servers only. Whether a role may log in, until when its "
              "password is valid, and its connection limit are honoured whatever the query says."},
    {"clients_max", SY_KEY_IS_UINT32, AT(T, clients_max), .default_text = "0",
     .about = "Clients of this database at once; 0: no limit of its own. Beyond: 53300."},
    {"statements_per_second", SY_KEY_IS_UINT32, AT(T, statement_rate), .default_text = "0",
     .most = 1000000,
     .about =
         "Statements of all clients of this database in a second, with bursts of as many; 0: no "
         "limit. More wait (`statement_wait_max`), then get 53400."},
    {"connections_per_second", SY_KEY_IS_UINT32, AT(T, connection_rate), .default_text = "0",
     .most = 1000000,
     .about = "Logins to this database in a second that succeed; 0: no limit. More get 53400."},
    {"hints", SY_KEY_IS_BOOL, AT(T, hints), .default_text = "true",
     .about = "Honour `/* switchyard: ... */` at the start of a statement."},
    {"safe_objects", SY_KEY_IS_STRINGS, AT(T, safe_objects), COUNT(T, safe_object_count),
     .about = "Views, functions, and tables with triggers or row-level security that the operator "
              "declares "
              "to stay inside one shard."},
    {"allow_unsafe_objects", SY_KEY_IS_BOOL, AT(T, allow_unsafe_objects), .default_text = "false",
     .about = "Declares all of them safe."},
    {"shards", SY_KEY_IS_GROUPS, AT(T, shards), COUNT(T, shard_count), .children = shard_keys,
     .element_bytes = sizeof(struct sy_config_shard), .elements_max = SY_LIMIT_SHARDS,
     .required = true, .about = "The shards; a database that is not sharded has one."},
    {"keyspaces", SY_KEY_IS_GROUPS, AT(T, keyspaces), COUNT(T, keyspace_count),
     .children = keyspace_keys, .element_bytes = sizeof(struct sy_config_keyspace),
     .origin_offset = offsetof(struct sy_config_keyspace, origin),
     .about = "Sets of tables that share a key type and a placement."},
    {"reference_tables", SY_KEY_IS_QNAMES, AT(T, reference_tables), COUNT(T, reference_table_count),
     .about = "Tables with a copy on every shard."},
    {"local_tables", SY_KEY_IS_GROUPS, AT(T, local_tables), COUNT(T, local_table_count),
     .children = local_table_keys, .element_bytes = sizeof(struct sy_config_local_table),
     .origin_offset = offsetof(struct sy_config_local_table, origin),
     .about = "Tables on one named shard."},
    /* Read by load.c: "refused", "reference" or "local SHARD". */
    {"default_placement", SY_KEY_IS_STRING, .offset = SIZE_MAX,
     .about = "Where tables go that are declared nowhere: `refused`, `reference`, or `local "
              "SHARD`. Default: "
              "the shard where there is one only, else refused."},
    {"data_dir", SY_KEY_IS_STRING, AT(T, data_dir), .needs_restart = true,
     .about =
         "sqlite: the folder of the shard files; default: a folder of the database's name in the "
         "top-level `data_dir`."},
    END_ROW};
#undef T

#define T struct sy_config
static const struct sy_key_row listen_keys[] = {
    {"address", SY_KEY_IS_STRING, AT(T, listen.address), .default_text = "127.0.0.1",
     .needs_restart = true, .about = "Addresses to listen on, separated by commas; `*` for all."},
    {"port", SY_KEY_IS_PORT, AT(T, listen.port), .default_text = "6432", .needs_restart = true,
     .about = "The TCP port."},
    {"backlog", SY_KEY_IS_UINT32, AT(T, listen.backlog), .default_text = "1024", .least = 1,
     .most = 65535, .needs_restart = true, .about = "Connections that may wait to be accepted."},
    {"unix_socket_dir", SY_KEY_IS_STRING, AT(T, listen.unix_socket_dir), .needs_restart = true,
     .about = "A folder for the socket `.s.PGSQL.<port>`; default: none."},
    END_ROW};

static const struct sy_key_row client_tls_keys[] = {
    {"mode", SY_KEY_IS_WORD, AT(T, client_tls.mode), .words = tls_words, .default_text = "disable",
     .about = "Whether clients may or must use TLS."},
    {"cert_file", SY_KEY_IS_STRING, AT(T, client_tls.cert_file),
     .about = "The certificate chain, PEM."},
    {"key_file", SY_KEY_IS_STRING, AT(T, client_tls.key_file), .about = "The private key, PEM."},
    {"ca_file", SY_KEY_IS_STRING, AT(T, client_tls.ca_file),
     .about = "Authorities of client certificates, PEM; needed for method `cert`."},
    END_ROW};

static const struct sy_key_row hardening_keys[] = {
    {"user", SY_KEY_IS_STRING, AT(T, hardening.user), .needs_restart = true,
     .about = "The user to become when started as root, before anything is opened."},
    {"core_dumps", SY_KEY_IS_BOOL, AT(T, hardening.core_dumps), .default_text = "false",
     .needs_restart = true,
     .about = "Allow core dumps and debuggers; they see passwords and statements."},
    {"seccomp", SY_KEY_IS_BOOL, AT(T, hardening.seccomp), .default_text = "true",
     .needs_restart = true,
     .about = "Forbid system calls that a router never needs (where libseccomp was built in)."},
    {"allow_exec", SY_KEY_IS_BOOL, AT(T, hardening.allow_exec), .default_text = "false",
     .needs_restart = true, .about = "Let the seccomp filter permit starting other programs."},
    END_ROW};

static const struct sy_key_row buffers_keys[] = {
    {"client", SY_KEY_IS_SIZE, AT(T, buffers.client_bytes), .default_text = "1GB", .least = 131072,
     .about = "What one client's messages may hold until they are done with. One that does not fit "
              "ends the connection (54000). Messages up to 64 KiB are not counted."},
    {"user", SY_KEY_IS_SIZE, AT(T, buffers.user_bytes), .default_text = "0",
     .about = "The same for all clients of one user, answers that they do not read included; 0: no "
              "limit. A message that would be too much waits unread, for at most `buffers.wait`."},
    {"all", SY_KEY_IS_SIZE, AT(T, buffers.all_bytes), .default_text = "2GB",
     .about =
         "The same for all clients, half of it for messages and half for answers; 0: no limit. "
         "As queues of answers come near theirs, less is queued for each client that does not "
         "read, down to 16 KiB."},
    {"wait", SY_KEY_IS_DURATION, AT(T, buffers.wait_us), .default_text = "10s",
     .most = 600 * (uint64_t)1000000,
     .about = "How long such a message may wait before its connection is ended (53200)."},
    END_ROW};

static const struct sy_key_row log_keys[] = {
    {"level", SY_KEY_IS_WORD, AT(T, log.level), .words = level_words, .default_text = "info",
     .about = "The least level that is written."},
    {"format", SY_KEY_IS_WORD, AT(T, log.format), .words = format_words, .default_text = "logfmt",
     .about = "One line an event, as key=value or as JSON."},
    {"file", SY_KEY_IS_STRING, AT(T, log.file), .needs_restart = true,
     .about = "Default: standard error."},
    END_ROW};

static const struct sy_key_row metrics_keys[] = {
    {"enabled", SY_KEY_IS_BOOL, AT(T, metrics.enabled), .default_text = "false",
     .needs_restart = true, .about = "Serve OpenMetrics at http://ADDRESS:PORT/metrics."},
    {"address", SY_KEY_IS_STRING, AT(T, metrics.address), .default_text = "127.0.0.1",
     .needs_restart = true, .about = "The address; beyond loopback only when written here."},
    {"port", SY_KEY_IS_PORT, AT(T, metrics.port), .default_text = "9187", .needs_restart = true,
     .about = "The port."},
    END_ROW};

const struct sy_key_row sy_config_keys[] = {
    {"listen", SY_KEY_IS_GROUP, .offset = 0, .children = listen_keys,
     .about = "Where clients connect."},
    {"client_tls", SY_KEY_IS_GROUP, .offset = 0, .children = client_tls_keys,
     .about = "TLS towards clients."},
    {"data_dir", SY_KEY_IS_STRING, AT(T, data_dir), .default_text = "/var/lib/switchyard",
     .needs_restart = true, .about = "The router's own data: catalog, embedded shards."},
    {"workers", SY_KEY_IS_UINT32, AT(T, workers), .default_text = "0", .most = 256,
     .needs_restart = true, .about = "Worker threads; 0: one per core."},
    {"worker_scheduling", SY_KEY_IS_WORD, AT(T, worker_scheduling), .words = scheduling_words,
     .default_text = "auto", .needs_restart = true,
     .about =
         "How a woken worker gets a core where all are busy; batch: when who runs there sleeps "
         "or has used up its slice, which takes less CPU for a statement, since more has come "
         "by then; normal: at once; auto: batch while it has many statements in flight."},
    {"node_id", SY_KEY_IS_UINT32, AT(T, node_id), .default_text = "0", .most = 1023,
     .needs_restart = true,
     .about = "This router's number in the ids of `switchyard.next_id()`. Routers of the same "
              "databases need different ones, else they may make the same id."},
    {"loop", SY_KEY_IS_WORD, AT(T, loop), .words = loop_words, .default_text = "auto",
     .needs_restart = true,
     .about = "The event loop; auto: io_uring where the kernel allows it, else epoll."},
    {"clients_max", SY_KEY_IS_UINT32, AT(T, clients_max), .default_text = "10000", .least = 1,
     .most = 1000000, .about = "Clients at once. One more gets 53300."},
    {"buffers", SY_KEY_IS_GROUP, .offset = 0, .children = buffers_keys,
     .about = "How much the router may hold for clients."},
    {"admin_slots", SY_KEY_IS_UINT32, AT(T, admin_slots), .default_text = "3", .most = 1000,
     .about = "Of `clients_max`, kept for users with `admin = true`."},
    {"unauthenticated_max", SY_KEY_IS_UINT32, AT(T, unauthenticated_max), .default_text = "1000",
     .least = 10, .most = 1000000,
     .about = "Connections that have not logged in. One more: the oldest of them is closed."},
    {"unauthenticated_per_address", SY_KEY_IS_UINT32, AT(T, unauthenticated_per_address),
     .default_text = "500", .least = 5, .most = 1000000,
     .about = "The same for connections of one address. One more: the oldest of that address is "
              "closed."},
    {"login_failures_max", SY_KEY_IS_UINT32, AT(T, login_failures_max), .default_text = "10",
     .most = 1000000,
     .about = "Logins of one user from one address that may fail before each further one has to "
              "wait `login_failure_wait` (it gets 53400 at once); 0: no limit."},
    {"login_failure_wait", SY_KEY_IS_DURATION, AT(T, login_failure_wait_us), .default_text = "5s",
     .least = 1000, .about = "In this time one failed login is forgiven."},
    {"statement_wait_max", SY_KEY_IS_DURATION, AT(T, statement_wait_max_us), .default_text = "1s",
     .most = 60 * (uint64_t)1000000,
     .about = "How long a statement may wait for its user's or database's `statements_per_second`; "
              "its client is not read meanwhile. One that would wait longer gets 53400; inside a "
              "transaction it waits this long and runs, and later ones make up for it."},
    {"login_timeout", SY_KEY_IS_DURATION, AT(T, login_timeout_us), .default_text = "10s",
     .least = 1000, .about = "From accept to authenticated; then the connection is closed."},
    {"shutdown_timeout", SY_KEY_IS_DURATION, AT(T, shutdown_timeout_us), .default_text = "30s",
     .about = "How long a graceful shutdown waits for transactions to end."},
    {"template_cache", SY_KEY_IS_SIZE, AT(T, template_cache_bytes), .default_text = "16MB",
     .least = 65536, .needs_restart = true,
     .about = "Memory of each worker for statements seen before."},
    {"hardening", SY_KEY_IS_GROUP, .offset = 0, .children = hardening_keys,
     .about = "What the process gives up at its start."},
    {"log", SY_KEY_IS_GROUP, .offset = 0, .children = log_keys, .about = "The log."},
    {"metrics", SY_KEY_IS_GROUP, .offset = 0, .children = metrics_keys, .about = "Metrics."},
    {"users", SY_KEY_IS_GROUPS, AT(T, users), COUNT(T, user_count), .children = user_keys,
     .element_bytes = sizeof(struct sy_config_user), .about = "Who may log in."},
    {"auth", SY_KEY_IS_GROUPS, AT(T, auth), COUNT(T, auth_count), .children = auth_keys,
     .element_bytes = sizeof(struct sy_config_auth_rule),
     .about =
         "Rules that decide how a connection logs in: the first that matches decides, none: "
         "rejected. "
         "Without any rule: loopback and the Unix socket by scram-sha-256 (trust where no user is "
         "configured), everything else rejected."},
    {"databases", SY_KEY_IS_GROUPS, AT(T, databases), COUNT(T, database_count),
     .children = database_keys, .element_bytes = sizeof(struct sy_config_database),
     .elements_max = SY_LIMIT_DATABASES, .required = true, .about = "What clients can connect to."},
    END_ROW};
#undef T
