/* Shared by cli/publish.c and cli/declare.c only. */
#ifndef SY_CLI_PUBLISH_INTERNAL_H
#define SY_CLI_PUBLISH_INTERNAL_H

#include "cli/publish.h"
#include "router/topology/topology.h"

/* The catalog's rows, in its order; everything lives in the arena. */
struct declared_rows {
    struct sy_arena arena;
    struct sy_catalog_declaration *rows;
    uint32_t count, capacity;
    bool failed; /* no memory */
};

SY_MUST_CHECK enum sy_status sy_declared_read(struct sy_catalog *catalog,
                                              struct declared_rows *rows, struct sy_err *err);
bool sy_declared_add(struct declared_rows *rows, const struct sy_catalog_declaration *row);

/* Opens the catalog if it is not open. */
SY_MUST_CHECK enum sy_status sy_publisher_open(struct sy_publisher *publisher, struct sy_err *err);
/* A snapshot of the configuration's text with these declarations. *problems: a line each. */
SY_MUST_CHECK enum sy_status sy_publisher_build(struct sy_publisher *publisher,
                                                const struct sy_buf *text,
                                                const struct declared_rows *rows,
                                                struct sy_topology **ret_topology,
                                                struct sy_buf *problems, struct sy_err *err);

#endif
