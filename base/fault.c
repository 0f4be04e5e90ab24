/* Fault points: a short list, compared by name. With nothing set a passage costs one load. */
#include "base/fault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MAX = 16, NAME_BYTES = 48 };

static struct place {
    char name[NAME_BYTES];
    uint64_t from; /* the passage that fires first */
    bool on;       /* and all that follow */
    _Atomic uint64_t passages;
} places[PLACES_MAX];

static atomic_uint place_count;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static void add_place(const char *text, size_t bytes)
{
    const char *equals = memchr(text, '=', bytes);
    unsigned index = atomic_load(&place_count);
    size_t name_bytes = equals != NULL ? (size_t)(equals - text) : bytes;
    if (index == PLACES_MAX || name_bytes == 0 || name_bytes >= NAME_BYTES)
        return;
    struct place *place = &places[index];
    memcpy(place->name, text, name_bytes);
    place->name[name_bytes] = '\0';
    place->from = equals != NULL ? strtoull(equals + 1, NULL, 10) : 1;
    place->on = text[bytes - 1] == '+';
    atomic_store(&place->passages, 0);
    atomic_store(&place_count, index + 1);
}

static void configure(const char *spec)
{
    atomic_store(&place_count, 0);
    while (spec != NULL && *spec != '\0') {
        size_t bytes = strcspn(spec, ",");
        add_place(spec, bytes);
        spec += bytes + (spec[bytes] == ',');
    }
}

static void read_environment(void)
{
    configure(getenv("SY_FAULTS"));
}

void sy_fault_configure(const char *spec)
{
    pthread_once(&environment_once, read_environment); /* or it would come later and replace this */
    configure(spec);
}

static struct place *find_place(const char *name)
{
    unsigned count = atomic_load_explicit(&place_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(places[i].name, name) == 0)
            return &places[i];
    return NULL;
}

bool sy_fault_passed(const char *name)
{
    pthread_once(&environment_once, read_environment);
    struct place *place = find_place(name);
    if (place == NULL)
        return false;
    uint64_t passage = atomic_fetch_add(&place->passages, 1) + 1;
    return place->on ? passage >= place->from : passage == place->from;
}

uint64_t sy_fault_passages(const char *name)
{
    const struct place *place = find_place(name);
    return place != NULL ? atomic_load(&place->passages) : 0;
}
