/* A topology from the text of a configuration, for tests that need no router. */
#ifndef SY_TESTS_HARNESS_TOPOLOGY_H
#define SY_TESTS_HARNESS_TOPOLOGY_H

#include "config/config.h"
#include "router/topology/topology.h"

/* `previous`: what it follows, or NULL. A text that is wrong fails the test. The caller has the
 * reference. */
static inline struct sy_topology *topology_of_text(const char *text,
                                                   const struct sy_topology *previous)
{
    struct sy_config *config = NULL;
    struct sy_topology *topology = NULL;
    struct sy_buf problems = {0};
    struct sy_err err = {0};
    if (sy_config_parse(text, "test", &config, &problems, &err) != SY_OK)
        fail_msg("%.*s", (int)problems.bytes, problems.data);
    if (sy_topology_build(config, previous, &topology, &err) != SY_OK)
        fail_msg("%s", err.text);
    sy_buf_release(&problems);
    sy_config_unref(&config);
    return topology;
}

#endif
