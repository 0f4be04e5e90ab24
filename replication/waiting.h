/* How other threads wait for what a thread of this folder has to have done first. */
#ifndef SY_REPLICATION_WAITING_H
#define SY_REPLICATION_WAITING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Blocks: until `done` says so, for at most timeout_ms; `changed` is signalled under `lock`, which
 * `done` is called under. False: it was not done in time. */
bool sy_wait_done(pthread_mutex_t *lock, pthread_cond_t *changed, bool (*done)(uint64_t wanted),
                  uint64_t wanted, int timeout_ms);

#endif
