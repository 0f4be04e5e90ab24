/*
 * A configuration file's text. What is accepted can be listed; what is refused
 * says where and why; nothing is kept of it.
 */
#include <string.h>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

/* libconfig forgets the text of a string that does not end; a process reads its file a few times.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}

static void count_setting(void *ctx, const char *name, const char *value, const char *default_value,
                          bool changeable)
{
    (void)default_value, (void)changeable;
    FUZZ_CHECK(name != NULL && value != NULL);
    ++*(unsigned *)ctx;
}

static void check_config(struct sy_config *config)
{
    unsigned settings = 0;
    FUZZ_CHECK(config != NULL);
    FUZZ_CHECK(config->database_count <= 1000);
    for (uint32_t i = 0; i < config->database_count; i++) {
        const struct sy_config_database *database = &config->databases[i];
        FUZZ_CHECK(database->name != NULL && database->name[0] != '\0');
        FUZZ_CHECK(database->shard_count >= 1 && database->shard_count <= 256);
        for (uint32_t s = 0; s < database->shard_count; s++)
            FUZZ_CHECK(database->shards[s].name != NULL);
    }
    sy_config_each_setting(config, count_setting, &settings);
    FUZZ_CHECK(settings > 0);
    sy_config_unref(&config);
    FUZZ_CHECK(config == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes > 64 * 1024 || memmem(data, bytes, "@include", 8) != NULL)
        return 0; /* other files are no part of the text */
    char *text = malloc(bytes + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    struct sy_buf problems = {.data = NULL};
    struct sy_config *config = NULL;
    struct sy_err err = {.status = SY_OK};
    if (sy_config_parse(text, "fuzz.conf", &config, &problems, &err) == SY_OK) {
        check_config(config);
    } else {
        FUZZ_CHECK(config == NULL && err.status != SY_OK && err.text[0] != '\0');
    }
    sy_buf_release(&problems);
    free(text);
    return 0;
}
