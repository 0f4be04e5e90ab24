/*
 * Every named maximum: value, reason, what the peer sees when it is hit. docs/limits.md is
 * generated from here (one limit, one comment).
 */
#ifndef SY_BASE_LIMITS_H
#define SY_BASE_LIMITS_H

enum {
    /* A startup packet, as PostgreSQL (pqcomm.h MAX_STARTUP_PACKET_LENGTH). Longer: connection
       closed. */
    SY_LIMIT_STARTUP_BYTES = 10000,
    /* Parameters of one startup packet. More: FATAL 08P01. */
    SY_LIMIT_STARTUP_PARAMETERS = 64,
    /* A message before authentication is done, both legs. Longer: FATAL 08P01. */
    SY_LIMIT_PREAUTH_MESSAGE_BYTES = 10000,
    /* Any message (PostgreSQL: 1 GiB - 1 for a query). Longer: 54000. */
    SY_LIMIT_MESSAGE_BYTES = 0x3fffffff,
    /* A message that carries neither text nor data (all but Q, P, B, F and d), as PostgreSQL
       (libpq.h). Longer: closed. */
    SY_LIMIT_SHORT_MESSAGE_BYTES = 10000,
    /* What of a server's is collected before it is passed on: an error, a notice, a description of
       columns. Longer: FATAL 08P01, and the server's connection is closed. */
    SY_LIMIT_SERVER_MESSAGE_BYTES = 16 * 1024 * 1024,
    /* Shards of one database: one bit each in a shard set. More: configuration error. */
    SY_LIMIT_SHARDS = 256,
    /* Nodes of one shard. More: configuration error. */
    SY_LIMIT_NODES_PER_SHARD = 16,
    /* Databases of one configuration. More: configuration error. */
    SY_LIMIT_DATABASES = 1000,
    /* Hash buckets of a keyspace: fixed for ever, the modulus of the partition function. */
    SY_LIMIT_BUCKETS = 4096,
    /* An identifier: PostgreSQL's NAMEDATALEN - 1; longer names are cut as PostgreSQL cuts them. */
    SY_LIMIT_NAME_BYTES = 63,
    /* Nesting of one statement's parse tree that the walkers follow. Deeper: 54001. */
    SY_LIMIT_PARSE_DEPTH = 1000,
    /* Prepared statements of one client. More: 53400. */
    SY_LIMIT_PREPARED_PER_CLIENT = 10000,
    /* Texts and names of one client's named prepared statements. More: 53400. */
    SY_LIMIT_PREPARED_BYTES_PER_CLIENT = 64 * 1024 * 1024,
    /* Portals of one client open at once. More: 53400. */
    SY_LIMIT_PORTALS_PER_CLIENT = 1000,
    /* Bytes queued to one peer before its source is no longer read (back-pressure). */
    SY_LIMIT_SEND_QUEUE_HIGH_BYTES = 256 * 1024,
    /* The same once queues hold three quarters of what buffers.all leaves them; from half on it is
       a quarter of the value above. */
    SY_LIMIT_SEND_QUEUE_LEAST_BYTES = 16 * 1024,
    /* A client's message up to here is not counted against the budgets (`buffers`). */
    SY_LIMIT_UNCOUNTED_MESSAGE_BYTES = 64 * 1024,
    /* Bytes at which the source is read again. */
    SY_LIMIT_SEND_QUEUE_LOW_BYTES = 64 * 1024,
    /* One receive buffer of the loop. */
    SY_LIMIT_CHUNK_BYTES = 16 * 1024,
    /* Receive buffers of a loop, unless it is told otherwise; half of them may be held, the rest is
       copied. */
    SY_LIMIT_RECEIVE_BUFFERS = 256,
    /* Connections accepted, or chunks received from one peer, before others have their turn. */
    SY_LIMIT_ACCEPTS_PER_TURN = 64,
    SY_LIMIT_RECEIVES_PER_TURN = 4,
    /* Bytes thrown away of a peer that still sends while its connection is being closed. More:
       reset. */
    SY_LIMIT_DISCARD_BYTES = 1024 * 1024,
    /* Slices, and bytes, of one send. More waits for the next. */
    SY_LIMIT_SEND_SLICES = 64,
    SY_LIMIT_SEND_BYTES = 128 * 1024,
    /* Literals lifted out of one statement; more: the statement is parsed without a template. */
    SY_LIMIT_TEMPLATE_LITERALS = 4096,
    /* Statement text that the template cache keeps. Longer: parsed afresh each time. */
    SY_LIMIT_TEMPLATE_BYTES = 64 * 1024,
    /* One log line, below the atomic size of a pipe write. Longer: cut, still well formed. */
    SY_LIMIT_LOG_LINE_BYTES = 4096,
    /* Lines of one event in a second. More: dropped, with a line "suppressed" that counts them. */
    SY_LIMIT_LOG_LINES_PER_SECOND = 100,
    /* Users and addresses whose failed logins are counted. More: the one with the fewest is
       forgotten. */
    SY_LIMIT_LOGIN_FAILURES = 4096,
    /* Server connections of a database that look passwords up (auth_query). More look-ups wait. */
    SY_LIMIT_AUTH_QUERY_CONNECTIONS = 2,
    /* Answer of one such look-up. Longer: the login fails with 08006. */
    SY_LIMIT_AUTH_QUERY_BYTES = 16 * 1024,
    /* Users remembered by auth_query, found or not, all databases. More: the oldest is forgotten.
     */
    SY_LIMIT_AUTH_QUERY_CACHE = 4096,
    /* Logins that wait for a password check (PBKDF2). More: FATAL 54000. */
    SY_LIMIT_HASH_QUEUE = 1024,
    /* Results of password checks remembered by the process; beyond it the least recently used is
       forgotten. */
    SY_LIMIT_HASH_CACHE = 4096,
    /* Settings that one server reports (ParameterStatus), and bytes of a value. More: the server is
       not used. */
    SY_LIMIT_SERVER_PARAMETERS = 64,
    SY_LIMIT_SERVER_PARAMETER_BYTES = 1024,
    /* Messages of a server between the startup packet and ReadyForQuery. More: 08P01, the server is
       not used. */
    SY_LIMIT_LOGIN_MESSAGES = 1000,
    /* One answer to a question of the router's own (schemas, prepared transactions, health). More:
       the server counts as one that does not answer. */
    SY_LIMIT_CONTROL_ANSWER_BYTES = 256 * 1024 * 1024,
    /* Name of a server user or database. Longer: 54000. */
    SY_LIMIT_SERVER_NAME_BYTES = 255,
    /* Addresses of one host name that are tried. More: left out. */
    SY_LIMIT_ADDRESSES = 8,
    /* Differences between shards that are told. More: left out. */
    SY_LIMIT_SCHEMA_DIFFERENCES = 1000,
    /* What one statement's groups, sorted by another order than GROUP BY's, may hold in the router.
       More: 54000. */
    SY_LIMIT_MERGE_SORT_BYTES = 64 * 1024 * 1024,
    /* Rows of one shard that wait for those of others in a merge: it is paused above, resumed below
       half. */
    SY_LIMIT_MERGE_STREAM_BYTES = 128 * 1024,
    /* What a transaction over several embedded shards may change on one of them, recorded twice: in
       memory and by the shard that decides. More: 0A000. */
    SY_LIMIT_REDO_BYTES = 256 * 1024 * 1024,
    /* Values that one write on several shards may have evaluated beforehand (two columns each, of
       the 1664 that a query may have). More: 0A000. */
    SY_LIMIT_SCATTER_VALUES = 800,
    /* Text of CREATE KEYSPACE and the like. Longer: 54000. */
    SY_LIMIT_DECLARATION_BYTES = 64 * 1024,
    /* Declarations that wait for the one before. More: 53400. */
    SY_LIMIT_DECLARATIONS_WAITING = 64,
};

#endif
