/* Every command of the program. Data only; --help is printed from here. */
#include <stddef.h>

#include "cli/command.h"

const struct sy_command sy_commands[] = {
    {"serve",
     NULL,
     0,
     0,
     "run the router",
     "Without -c it serves an embedded, sharded demo: database \"demo\" on 127.0.0.1:6432, SQLite "
     "shards inside\n"
     "the process, no database server needed. Connect with any PostgreSQL driver:\n\n"
     "    psql -h 127.0.0.1 -p 6432 -U demo demo\n\n"
     "With -c it serves what the file declares; switchyard config example prints one to start "
     "from.\n\n"
     "Signals: SIGTERM lets transactions end and stops, SIGINT stops at once, SIGHUP reads the "
     "configuration again.\n"
     "The admin console is the database \"switchyard\" on the same port; SHOW HELP lists its "
     "commands.\n",
     {{'c', "config", "FILE", "the configuration file"},
      {'p', "port", "PORT", "listen on this port instead of the configured one"},
      {'d', "data-dir", "DIR", "keep the router's own data here instead of the configured folder"},
      {0, "loop", "NAME", "event loop: auto, io_uring or epoll"},
      {0, "workers", "N", "worker threads; 0: one per core"}},
     sy_command_serve},
    {"config check",
     "FILE",
     1,
     1,
     "check a configuration file",
     "Reports every problem at once, each with its line. Exit status 0: the file can be used.\n"
     "Nothing is contacted: whether the servers answer is seen when the router runs (SHOW "
     "NODES).\n",
     {{0}},
     sy_command_config_check},
    {"config example",
     NULL,
     0,
     0,
     "print a configuration to start from",
     "One database with a replica and one with two shards, with comments:\n\n"
     "    switchyard config example > switchyard.conf\n"
     "    switchyard config check switchyard.conf\n"
     "    switchyard serve -c switchyard.conf\n",
     {{0}},
     sy_command_config_example},
    {"config reference",
     NULL,
     0,
     0,
     "print all configuration keys as Markdown",
     "Printed from the table that reads the file, so it is complete.\n",
     {{0}},
     sy_command_config_reference},
    {"explain",
     "SQL",
     1,
     1,
     "say where a statement would go, and why",
     "Tells the shards, whether a replica may answer, how the rows of several shards become one "
     "answer, or why the\n"
     "statement is refused. Takes any statement, DDL and COPY too; a leading comment steers it as "
     "it "
     "does on the\n"
     "router: /* switchyard: shard=s0 */, key=42, role=primary or role=replica.\n\n"
     "Contacts no server, so volatility of functions and columns of tables are not known: a "
     "statement that calls a\n"
     "function is shown for the primary. On a running router, EXPLAIN (ROUTE) statement knows "
     "both.\n\n"
     "    switchyard explain -c switchyard.conf -d blog \"SELECT * FROM posts WHERE author_id = "
     "42\"\n",
     {{'c', "config", "FILE", "the configuration file; without it: the built-in demo"},
      {'d', "database", "NAME", "the database; without it: the only one"}},
     sy_command_explain},
    {"version", NULL, 0, 0, "print the version", "", {{0}}, sy_command_version},
    {NULL, NULL, 0, 0, NULL, NULL, {{0}}, NULL},
};
