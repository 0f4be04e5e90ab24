/* The live state of nodes as OpenMetrics gauges, for the metrics endpoint. */
#ifndef SY_CLI_GAUGES_H
#define SY_CLI_GAUGES_H

#include "base/buf.h"

/* As sy_metrics_gauges_fn; ctx is not used. Reads the present topology. Any thread. */
void sy_write_node_gauges(void *ctx, struct sy_buf *out);

#endif
