/* A configuration to start from, for `switchyard config example`. A test checks that it can be
 * used. */
#include <stdio.h>

#include "cli/command.h"

static const char example[] =
    "// Sizes and durations are strings with units: \"64MB\", \"30s\". Every key, with its "
    "default:\n"
    "// switchyard config reference\n"
    "listen     = { address = \"127.0.0.1\"; port = 6432; };\n"
    "data_dir   = \"/var/lib/switchyard\";\n"
    "\n"
    "// Who may connect. A secret instead of a password: secret = \"SCRAM-SHA-256$...\" as in "
    "pg_authid.\n"
    "users      = ( { name = \"app\"; password = \"change me\"; },\n"
    "               { name = \"admin\"; password = \"change me, too\"; admin = true; } );\n"
    "// From where, and how they log in; the first line that fits decides, none: rejected.\n"
    "auth       = ( { address = \"127.0.0.1/32\"; method = \"scram-sha-256\"; } );\n"
    "\n"
    "databases  = (\n"
    "  // One server and its replica: reads are spread, writes go to the primary, which is found "
    "out.\n"
    "  { name = \"shop\"; engine = \"postgres\";\n"
    "    shards = ( { name = \"s0\"; nodes = (\n"
    "        { conninfo = \"host=10.0.0.1 dbname=shop user=switchyard\"; },\n"
    "        { conninfo = \"host=10.0.0.2 dbname=shop user=switchyard\"; } ); } ); },\n"
    "\n"
    "  // Two shards. Rows with the same key live together; a table without a line here is "
    "refused\n"
    "  // unless default_placement says where it goes.\n"
    "  { name = \"blog\"; engine = \"postgres\";\n"
    "    pool = { mode = \"transaction\"; size = 20; };\n"
    "    shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=10.0.0.3 dbname=blog "
    "user=switchyard\"; } ); },\n"
    "               { name = \"s1\"; nodes = ( { conninfo = \"host=10.0.0.4 dbname=blog "
    "user=switchyard\"; } ); } );\n"
    "    keyspaces = ( { name = \"authors\"; strategy = \"hash\"; type = \"int8\";\n"
    "        tables = ( { name = \"authors\"; key = \"id\"; }, { name = \"posts\"; key = "
    "\"author_id\"; } ); } );\n"
    "    reference_tables = [ \"tags\" ];                       // a copy on each shard\n"
    "    local_tables = ( { name = \"audit\"; shard = \"s0\"; } ); // on one shard\n"
    "    default_placement = \"local s0\"; } );\n";

int sy_command_config_example(const struct sy_arguments *arguments)
{
    (void)arguments;
    fputs(example, stdout);
    return SY_EXIT_OK;
}
