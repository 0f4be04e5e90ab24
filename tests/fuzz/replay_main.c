/* Runs a fuzz target over every file of the folders and files given: the fuzzer's corpus as an
 * ordinary test. */
#include <glob.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    struct stat about;
    if (file == NULL || fstat(fileno(file), &about) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    size_t bytes = (size_t)about.st_size;
    /* Exactly as long as the file: a sanitizer sees the first byte beyond. */
    uint8_t *data = malloc(bytes == 0 ? 1 : bytes);
    if (data == NULL || fread(data, 1, bytes, file) != bytes)
        exit(1);
    fclose(file);
    LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    return 1;
}

static unsigned run_path(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        fprintf(stderr, "no such corpus: %s\n", path);
        exit(1);
    }
    if (!S_ISDIR(about.st_mode))
        return run_file(path);
    char pattern[4096];
    unsigned count = 0;
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/*", path);
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        count += run_file(found.gl_pathv[i]);
    globfree(&found);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        count += run_path(argv[i]);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
