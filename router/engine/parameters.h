/* The ParameterStatus values of one server session: small, ordered, case-insensitive names. */
#ifndef SY_ROUTER_ENGINE_PARAMETERS_H
#define SY_ROUTER_ENGINE_PARAMETERS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct sy_parameters;

struct sy_parameters *sy_parameters_new(void);
void sy_parameters_free(struct sy_parameters **parameters);
/* Errors: SY_E_NO_MEMORY, SY_E_LIMIT (more than 64 names, or a value over 1 KiB). */
SY_MUST_CHECK enum sy_status sy_parameters_set(struct sy_parameters *parameters,
                                               struct sy_slice name, struct sy_slice value,
                                               struct sy_err *err);
/* data NULL: not reported. */
struct sy_slice sy_parameters_get(const struct sy_parameters *parameters, struct sy_slice name);
uint32_t sy_parameters_count(const struct sy_parameters *parameters);
void sy_parameters_at(const struct sy_parameters *parameters, uint32_t index,
                      struct sy_slice *ret_name, struct sy_slice *ret_value);

#endif
