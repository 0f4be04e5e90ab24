/* Shared by the readers of this folder; not for others. */
#ifndef SY_ROUTER_WIRE_INTERNAL_H
#define SY_ROUTER_WIRE_INTERNAL_H

#include "router/wire/message.h"

/* What a reader returns at its end: SY_OK when all was read, else SY_E_PROTOCOL with the reason. */
SY_MUST_CHECK enum sy_status sy_wire_finish(const struct sy_reader *reader, struct sy_err *err);
/* Steps over `count` values of the form (int32 length or -1, bytes); a length below -1 fails. */
void sy_wire_skip_values(struct sy_reader *reader, uint16_t count);

#endif
