/*
 * Memory that runs out in the router's process: the program is linked with --wrap for the functions
 * that allocate, and a counter that parent and child share says which call fails. Only processes
 * forked by the test are starved, never the test itself. Libraries are not: what they do without
 * memory is theirs.
 */
#ifndef SY_TESTS_ATTACK_STARVE_H
#define SY_TESTS_ATTACK_STARVE_H

#include <stdint.h>

/* Once, before the router is forked. */
void starve_prepare(void);
/* From now on the `at`-th allocation of the router fails; so do the `more` that follow. */
void starve_begin(uint64_t at, uint64_t more);
/* Nothing fails any more; how many allocations there were since starve_begin(). */
uint64_t starve_end(void);

#endif
