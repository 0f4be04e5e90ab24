/* See starve.h. Linked only into programs that ask the linker to --wrap these functions. */
#include "tests/attack/starve.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct hunger {
    _Atomic uint64_t calls, at, more;
    atomic_bool on;
};

static struct hunger *hunger; /* shared by the test and what it forks */
static bool forked;           /* set in the child before it has threads */

static void in_child(void)
{
    forked = true;
}

void starve_prepare(void)
{
    hunger = mmap(NULL, sizeof(*hunger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (hunger == MAP_FAILED || pthread_atfork(NULL, NULL, in_child) != 0)
        abort();
}

void starve_begin(uint64_t at, uint64_t more)
{
    atomic_store(&hunger->at, at);
    atomic_store(&hunger->more, more);
    atomic_store(&hunger->calls, 0);
    atomic_store(&hunger->on, true);
}

uint64_t starve_end(void)
{
    atomic_store(&hunger->on, false);
    return atomic_load(&hunger->calls);
}

static bool fails(void)
{
    if (!forked || !atomic_load_explicit(&hunger->on, memory_order_relaxed))
        return false;
    uint64_t call = atomic_fetch_add(&hunger->calls, 1) + 1, at = atomic_load(&hunger->at);
    return call >= at && call - at <= atomic_load(&hunger->more);
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_vasprintf(char **ret_text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || fails())
        return NULL;
    return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

char *__wrap_strndup(const char *text, size_t bytes)
{
    size_t length = strnlen(text, bytes);
    char *copy = fails() ? NULL : __real_malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *__wrap_strdup(const char *text)
{
    return __wrap_strndup(text, strlen(text));
}

int __wrap_vasprintf(char **ret_text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int bytes = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = bytes < 0 || fails() ? NULL : __real_malloc((size_t)bytes + 1);
    if (text == NULL)
        return -1;
    *ret_text = text;
    return vsnprintf(text, (size_t)bytes + 1, format, args);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = __wrap_vasprintf(ret_text, format, args);
    va_end(args);
    return bytes;
}
