/*
 * The OpenMetrics endpoint: GET /metrics over HTTP (libmicrohttpd, a thread of its own), and the
 * text it serves. Source: OpenMetrics 1.0.
 */
#ifndef SY_ROUTER_METRICS_ENDPOINT_H
#define SY_ROUTER_METRICS_ENDPOINT_H

#include "base/buf.h"
#include "base/err.h"

struct sy_metrics_endpoint;

/* Writes gauges that live elsewhere (pools, nodes): whole metric families in OpenMetrics text. Any
 * thread. */
typedef void (*sy_metrics_gauges_fn)(void *ctx, struct sy_buf *out);

/* Errors: SY_E_IO when the address can't be bound. */
SY_MUST_CHECK enum sy_status sy_metrics_endpoint_start(const char *address, uint16_t port,
                                                       sy_metrics_gauges_fn gauges, void *ctx,
                                                       struct sy_metrics_endpoint **ret_endpoint,
                                                       struct sy_err *err);
void sy_metrics_endpoint_stop(struct sy_metrics_endpoint **endpoint);
/* The port that is really in use (for port 0 in tests). */
uint16_t sy_metrics_endpoint_port(const struct sy_metrics_endpoint *endpoint);

/* name{a="b",...} with values escaped: for gauge writers. labels: name, value, name, value ...,
 * NULL. */
void sy_metrics_write_sample(struct sy_buf *out, const char *name, const char *const *labels,
                             double value);

#endif
