/*
 * ParameterStatus values of one session. A plain array: a server reports about fifteen, looked up
 * rarely. Owned by the link, used on its worker only.
 */
#include "router/engine/parameters.h"

#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"

enum {
    PARAMETERS_MAX = SY_LIMIT_SERVER_PARAMETERS,
    NAME_BYTES_MAX = 64,
    VALUE_BYTES_MAX = SY_LIMIT_SERVER_PARAMETER_BYTES
};

struct parameter {
    char *text; /* name, then value, one allocation */
    uint32_t name_bytes, value_bytes, capacity;
};

struct sy_parameters {
    struct parameter rows[PARAMETERS_MAX];
    uint32_t count;
};

struct sy_parameters *sy_parameters_new(void)
{
    return calloc(1, sizeof(struct sy_parameters));
}

void sy_parameters_free(struct sy_parameters **parameters)
{
    struct sy_parameters *self = *parameters;
    *parameters = NULL;
    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->count; i++)
        free(self->rows[i].text);
    free(self);
}

static struct parameter *find(const struct sy_parameters *self, struct sy_slice name)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const struct parameter *row = &self->rows[i];
        if (row->name_bytes == name.bytes && strncasecmp(row->text, name.data, name.bytes) == 0)
            return (struct parameter *)(uintptr_t)row;
    }
    return NULL;
}

enum sy_status sy_parameters_set(struct sy_parameters *self, struct sy_slice name,
                                 struct sy_slice value, struct sy_err *err)
{
    if (name.bytes == 0 || name.bytes > NAME_BYTES_MAX || value.bytes > VALUE_BYTES_MAX)
        return sy_err_set(err, SY_E_LIMIT, "a parameter status of %zu + %zu bytes is too long",
                          name.bytes, value.bytes);
    struct parameter *row = find(self, name);
    if (row == NULL && self->count == PARAMETERS_MAX)
        return sy_err_set(err, SY_E_LIMIT, "the server reports more than %d parameters",
                          PARAMETERS_MAX);
    size_t bytes = name.bytes + value.bytes;
    if (row == NULL || row->capacity < bytes) {
        char *text = malloc(bytes);
        if (text == NULL)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        memcpy(text, row != NULL ? row->text : name.data,
               name.bytes); /* the first spelling stays */
        if (row == NULL)
            row = &self->rows[self->count++];
        free(row->text);
        row->text = text;
        row->capacity = (uint32_t)bytes;
        row->name_bytes = (uint32_t)name.bytes;
    }
    if (value.bytes != 0)
        memcpy(row->text + name.bytes, value.data, value.bytes);
    row->value_bytes = (uint32_t)value.bytes;
    return SY_OK;
}

struct sy_slice sy_parameters_get(const struct sy_parameters *self, struct sy_slice name)
{
    const struct parameter *row = find(self, name);
    return row == NULL ? (struct sy_slice){NULL, 0}
                       : (struct sy_slice){row->text + row->name_bytes, row->value_bytes};
}

uint32_t sy_parameters_count(const struct sy_parameters *self)
{
    return self->count;
}

void sy_parameters_at(const struct sy_parameters *self, uint32_t index, struct sy_slice *ret_name,
                      struct sy_slice *ret_value)
{
    const struct parameter *row = &self->rows[index];
    *ret_name = (struct sy_slice){row->text, row->name_bytes};
    *ret_value = (struct sy_slice){row->text + row->name_bytes, row->value_bytes};
}
