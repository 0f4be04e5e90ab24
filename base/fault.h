/*
 * Places where a test can make the program fail: `if (SY_FAULT("stream.memory")) ...`. Nothing is
 * left of them in a release build (NDEBUG).
 *
 * Which places fire is set by the environment variable SY_FAULTS, read at the first place that is
 * passed, or by sy_fault_configure(): "name=3" fires at the third passage, "name=3+" from the third
 * on, several separated by commas. A name that nobody passes is not an error.
 */
#ifndef SY_BASE_FAULT_H
#define SY_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef NDEBUG
#define SY_FAULT(name) (false)
#else
#define SY_FAULT(name) sy_fault_passed(name)
#endif

/* Replaces what is set; NULL or "": nothing fires. At most 16 places. Thread: none other may pass a
 * place meanwhile. */
void sy_fault_configure(const char *spec);
/* Counts a passage; whether this one fires. Any thread. */
bool sy_fault_passed(const char *name);
/* How often a place that is set was passed. */
uint64_t sy_fault_passages(const char *name);

#endif
