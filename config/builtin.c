/*
 * The configuration that runs without a file: an embedded, sharded database "demo" that shows every
 * placement on the tables of the demo data (packaging/demo). Written in the same language as
 * everybody's configuration.
 */
#include <stdlib.h>

#include "config/config.h"

static const char builtin_text[] =
    "databases = ( {\n"
    "  name = \"demo\"; engine = \"sqlite\"; default_placement = \"local s0\";\n"
    "  shards = ( { name = \"s0\"; replicas = 1; }, { name = \"s1\"; replicas = 1; } );\n"
    "  keyspaces = (\n"
    "    { name = \"by_maintainer\"; strategy = \"hash\"; type = \"int8\";\n"
    "      tables = ( { name = \"maintainers\"; key = \"id\"; },\n"
    "                 { name = \"packages\"; key = \"maintainer_id\"; },\n"
    "                 { name = \"dependencies\"; key = \"maintainer_id\"; } ); },\n"
    "    { name = \"by_country\"; strategy = \"geo\"; type = \"text\";\n"
    "      regions = ( { name = \"europe\"; shards = [\"s0\"];\n"
    "                    values = "
    "[\"de\",\"fr\",\"it\",\"es\",\"uk\",\"nl\",\"be\",\"at\",\"ch\",\"pl\",\"cz\",\n"
    "                              "
    "\"se\",\"no\",\"fi\",\"dk\",\"pt\",\"gr\",\"hu\",\"ro\",\"ie\",\"eu\",\"ru\",\"ua\"]; },\n"
    "                  { name = \"default\"; shards = [\"s1\"]; } );\n"
    "      tables = ( { name = \"contacts\"; key = \"country\"; } ); },\n"
    "    { name = \"by_size\"; strategy = \"range\"; type = \"int8\";\n"
    "      ranges = ( { upto = \"1000\"; shard = \"s0\"; }, { shard = \"s1\"; } );\n"
    "      tables = ( { name = \"package_sizes\"; key = \"installed_size\"; } ); } );\n"
    "  reference_tables = [ \"sections\" ];\n"
    "} );\n";

/* $XDG_STATE_HOME/switchyard, else ~/.local/state/switchyard, else /var/lib/switchyard for root. */
static const char *user_data_dir(struct sy_arena *arena)
{
    const char *set = getenv("SWITCHYARD_DATA_DIR");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (set != NULL && set[0] != '\0')
        return sy_arena_strdup(arena, set);
    if (state != NULL && state[0] != '\0')
        return sy_arena_printf(arena, "%s/switchyard", state);
    if (home != NULL && home[0] != '\0')
        return sy_arena_printf(arena, "%s/.local/state/switchyard", home);
    return "/var/lib/switchyard";
}

enum sy_status sy_config_builtin(struct sy_config **ret_config, struct sy_err *err)
{
    struct sy_buf problems = {0};
    struct sy_config *config = NULL;
    enum sy_status status =
        sy_config_parse(builtin_text, "built-in configuration", &config, &problems, err);
    if (status != SY_OK && problems.bytes > 0)
        sy_err_detail(err, "%.*s", (int)problems.bytes, problems.data);
    sy_buf_release(&problems);
    if (status != SY_OK)
        return status;
    config->path = NULL;
    config->data_dir = user_data_dir(&config->arena);
    if (config->data_dir == NULL) {
        sy_config_unref(&config);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    *ret_config = config;
    return SY_OK;
}
