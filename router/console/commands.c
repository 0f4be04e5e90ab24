/* Every command of the console. Data only. The first columns of each SHOW are PgBouncer's, under
 * its names. */
#include "router/console/internal.h"

#define COLUMNS(...) ((const struct sy_console_column[]){__VA_ARGS__, {NULL, 0}})
#define T(name)                                                                                    \
    {                                                                                              \
        name, 't'                                                                                  \
    }
#define I(name)                                                                                    \
    {                                                                                              \
        name, 'i'                                                                                  \
    }

#define SOCKET_COLUMNS                                                                             \
    T("type"), T("user"), T("database"), T("state"), T("addr"), I("port"), T("local_addr"),        \
        I("local_port"), T("connect_time"), T("request_time"), I("wait"), I("wait_us"),            \
        I("close_needed"), T("ptr"), T("link"), I("remote_pid"), T("tls"), T("application_name")

#define TOTAL_COLUMNS                                                                              \
    I("xact_count"), I("query_count"), I("bytes_received"), I("bytes_sent"), I("xact_time"),       \
        I("query_time"), I("wait_time")

const struct sy_console_row sy_console_rows[] = {
    {"SHOW HELP", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false, COLUMNS(T("command"), T("what")),
     sy_show_help, "SHOW", "Lists these commands."},
    {"SHOW VERSION", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false, COLUMNS(T("version")),
     sy_show_version, "SHOW", "The program's version."},
    {"SHOW POOLS", NULL, SY_CONSOLE_WORKERS, SY_ACTION_NONE, false,
     COLUMNS(T("database"), T("user"), I("cl_active"), I("cl_waiting"), I("cl_active_cancel_req"),
             I("cl_waiting_cancel_req"), I("sv_active"), I("sv_active_cancel"),
             I("sv_being_canceled"), I("sv_idle"), I("sv_used"), I("sv_tested"), I("sv_login"),
             I("maxwait"), I("maxwait_us"), T("pool_mode"), T("shard"), T("node")),
     sy_show_pools, "SHOW", "Server connections by database, user and node."},
    {"SHOW CLIENTS", NULL, SY_CONSOLE_WORKERS, SY_ACTION_NONE, false,
     COLUMNS(SOCKET_COLUMNS, T("wait_reason"), T("pinned"), T("transaction"), I("prepared"),
             I("worker"), I("buffered")),
     sy_show_clients, "SHOW", "Clients: state, what they wait for, what pins them to a server."},
    {"SHOW SERVERS", NULL, SY_CONSOLE_WORKERS, SY_ACTION_NONE, false,
     COLUMNS(SOCKET_COLUMNS, T("shard"), T("node"), I("prepared"), I("worker")), sy_show_servers,
     "SHOW", "Server connections."},
    {"SHOW SOCKETS", NULL, SY_CONSOLE_WORKERS, SY_ACTION_NONE, false, COLUMNS(SOCKET_COLUMNS),
     sy_show_sockets, "SHOW", "Client and server connections together."},
    {"SHOW DATABASES", NULL, SY_CONSOLE_WORKERS, SY_ACTION_NONE, false,
     COLUMNS(T("name"), T("host"), I("port"), T("database"), T("force_user"), I("pool_size"),
             I("min_pool_size"), I("reserve_pool"), T("pool_mode"), I("max_connections"),
             I("current_connections"), I("paused"), I("disabled"), T("engine"), I("shards"),
             I("keyspaces")),
     sy_show_databases, "SHOW", "The databases clients can connect to."},
    {"SHOW STATS", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), I("total_xact_count"), I("total_query_count"), I("total_received"),
             I("total_sent"), I("total_xact_time"), I("total_query_time"), I("total_wait_time"),
             I("avg_xact_count"), I("avg_query_count"), I("avg_recv"), I("avg_sent"),
             I("avg_xact_time"), I("avg_query_time"), I("avg_wait_time"), I("total_errors"),
             I("total_refused")),
     sy_show_stats, "SHOW",
     "Totals since start and averages of the last minute; times in microseconds."},
    {"SHOW STATS_TOTALS", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), TOTAL_COLUMNS), sy_show_stats_totals, "SHOW", "The totals alone."},
    {"SHOW STATS_AVERAGES", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), TOTAL_COLUMNS), sy_show_stats_averages, "SHOW", "The averages alone."},
    {"SHOW TOTALS", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false, COLUMNS(T("name"), I("value")),
     sy_show_totals, "SHOW", "Totals over all databases."},
    {"SHOW LISTS", NULL, SY_CONSOLE_WORKERS, SY_ACTION_NONE, false, COLUMNS(T("list"), I("items")),
     sy_show_lists, "SHOW", "How many there are of what."},
    {"SHOW USERS", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("name"), T("pool_mode"), I("connections_max"), T("rights")), sy_show_users, "SHOW",
     "The users of the configuration."},
    {"SHOW CONFIG", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("key"), T("value"), T("default"), T("changeable")), sy_show_config, "SHOW",
     "The configuration in force; secrets are left out."},
    {"SHOW SHARDS", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), T("shard"), T("primary"), I("nodes"), I("replicas_serving"),
             I("active")),
     sy_show_shards, "SHOW", "The shards of each database and who their primary is."},
    {"SHOW KEYSPACES", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), T("keyspace"), T("strategy"), T("type"), T("shards"), I("tables"),
             T("declared_in")),
     sy_show_keyspaces, "SHOW", "The keyspaces and where they are placed."},
    {"SHOW TABLES", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), T("table"), T("placement"), T("keyspace"), T("key"), T("shard"),
             T("declared_in")),
     sy_show_tables, "SHOW", "The declared tables and their placement."},
    {"SHOW FEDERATION", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), T("shard"), T("server_database"), T("ready"), I("relations"), T("why")),
     sy_show_federation, "SHOW",
     "The databases that join rows of several shards, and why one cannot."},
    {"SHOW NODES", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("database"), T("shard"), T("node"), T("host"), T("port"), T("zone"), I("weight"),
             T("role"), T("reachable"), T("lsn"), I("lag_us"), I("connections"), I("active")),
     sy_show_nodes, "SHOW", "Every server: role, reachability, replay position and lag."},
    {"SHOW TRANSACTIONS", NULL, SY_CONSOLE_NOW, SY_ACTION_NONE, false,
     COLUMNS(T("gid"), T("state"), T("database"), T("decider"), T("participant"), I("age_us"),
             T("evidence")),
     sy_show_transactions, "SHOW",
     "Transactions over several shards that are prepared somewhere, as the last look found them."},
    {"RESOLVE TRANSACTION", "gid COMMIT|ROLLBACK", SY_CONSOLE_ACTION, SY_ACTION_RESOLVE, true, NULL,
     NULL, "RESOLVE",
     "Decides a transaction that is in doubt; what the evidence says is told first."},
    {"CREATE KEYSPACE", "name HASH|RANGE|LIST|GEO (type) ...", SY_CONSOLE_ACTION, SY_ACTION_DECLARE,
     true, NULL, NULL, "CREATE KEYSPACE",
     "Declares a keyspace, as in CREATE KEYSPACE authors HASH (int8). Kept in the catalog; FOR "
     "DATABASE db behind it where there are several."},
    {"DROP KEYSPACE", "name", SY_CONSOLE_ACTION, SY_ACTION_DECLARE, true, NULL, NULL,
     "DROP KEYSPACE", "Ends a keyspace of the catalog that has no tables."},
    {"SHARD TABLE", "table BY column IN keyspace", SY_CONSOLE_ACTION, SY_ACTION_DECLARE, true, NULL,
     NULL, "SHARD TABLE",
     "Declares a table that no shard has yet: its rows are spread by the column."},
    {"REFERENCE TABLE", "table", SY_CONSOLE_ACTION, SY_ACTION_DECLARE, true, NULL, NULL,
     "REFERENCE TABLE", "Declares a table that no shard has yet: each shard has a copy."},
    {"LOCAL TABLE", "table ON shard", SY_CONSOLE_ACTION, SY_ACTION_DECLARE, true, NULL, NULL,
     "LOCAL TABLE", "Declares a table that no shard has yet: it lives on one shard."},
    {"UNSHARD TABLE", "table", SY_CONSOLE_ACTION, SY_ACTION_DECLARE, true, NULL, NULL,
     "UNSHARD TABLE", "Ends a declaration of the catalog, of a table that was dropped."},
    {"PAUSE", "[db]", SY_CONSOLE_ACTION, SY_ACTION_PAUSE, true, NULL, NULL, "PAUSE",
     "Lets running transactions end and holds new ones. Clients stay connected and wait."},
    {"RESUME", "[db]", SY_CONSOLE_ACTION, SY_ACTION_RESUME, true, NULL, NULL, "RESUME",
     "Ends PAUSE or KILL."},
    {"RELOAD", NULL, SY_CONSOLE_ACTION, SY_ACTION_RELOAD, true, NULL, NULL, "RELOAD",
     "Reads the configuration file again. A file with a problem changes nothing."},
    {"RECONNECT", "[db]", SY_CONSOLE_ACTION, SY_ACTION_RECONNECT, true, NULL, NULL, "RECONNECT",
     "Closes server connections when they are next free."},
    {"KILL", "db", SY_CONSOLE_ACTION, SY_ACTION_KILL, true, NULL, NULL, "KILL",
     "Drops the clients and server connections of a database now, and pauses it until RESUME."},
    {"KILL_CLIENT", "id", SY_CONSOLE_ACTION, SY_ACTION_KILL_CLIENT, true, NULL, NULL, "KILL_CLIENT",
     "Drops one client; id is ptr in SHOW CLIENTS."},
    {"DISABLE", "db", SY_CONSOLE_ACTION, SY_ACTION_DISABLE, true, NULL, NULL, "DISABLE",
     "Refuses new clients of a database."},
    {"ENABLE", "db", SY_CONSOLE_ACTION, SY_ACTION_ENABLE, true, NULL, NULL, "ENABLE",
     "Ends DISABLE."},
    {"SHUTDOWN", "[WAIT_FOR_CLIENTS]", SY_CONSOLE_ACTION, SY_ACTION_SHUTDOWN, true, NULL, NULL,
     "SHUTDOWN", "Stops: SHUTDOWN drops idle clients and waits for transactions, as SIGTERM does."},
    {NULL, NULL, SY_CONSOLE_EMPTY, SY_ACTION_NONE, false, NULL, NULL, NULL, NULL},
};
