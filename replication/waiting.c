/* Waiting with a limit of time. */
#include "replication/waiting.h"

#include <time.h>

bool sy_wait_done(pthread_mutex_t *lock, pthread_cond_t *changed, bool (*done)(uint64_t wanted),
                  uint64_t wanted, int timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    int code = 0;
    pthread_mutex_lock(lock);
    while (!done(wanted) && code == 0)
        code = pthread_cond_timedwait(changed, lock, &end);
    bool in_time = done(wanted);
    pthread_mutex_unlock(lock);
    return in_time;
}
