/*
 * The engine's truth: every recorded statement gives PostgreSQL's types, rows and errors. A
 * statement that the engine refuses with 0A000 is counted as refused, which the line "! refused"
 * under it in the recording must allow; one that is answered in spite of that line fails too, so
 * that the recording says what is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/differential/sqlite/driver.h"

struct totals {
    int same, refused, different;
};

/* Without position and text: what must agree in an error is its SQLSTATE. */
static bool same_error(const char *a, const char *b)
{
    return a[0] == 'E' && b[0] == 'E' && strncmp(a, b, 7) == 0;
}

static void compare(const char *sql, const char *expected, const struct sy_buf *got,
                    const struct driver *driver, struct totals *totals, bool verbose)
{
    static const char mark[] = "! refused\n";
    bool may_refuse = strncmp(expected, mark, sizeof(mark) - 1) == 0;
    expected += may_refuse ? sizeof(mark) - 1 : 0;
    const char *text = got->data == NULL ? "" : got->data;
    if (strcmp(expected, text) == 0 || same_error(expected, text)) {
        totals->same++;
        if (may_refuse) {
            totals->different++;
            (void)printf("NO LONGER REFUSED %s\n", sql);
        }
        if (verbose && strcmp(expected, text) != 0)
            (void)printf("NOTE %s\n  expected %s  got      %s", sql, expected, text);
        return;
    }
    bool refused = strncmp(text, "E 0A000", 7) == 0;
    bool fails = !refused || !may_refuse;
    totals->refused += refused;
    totals->different += fails;
    if (fails || verbose)
        (void)printf("%s %s\n--- PostgreSQL\n%s--- SQLite: %s\n%s\n",
                     refused ? "REFUSED" : "DIFFERENT", sql, expected, driver_last_sql(driver),
                     text);
}

int main(int argc, char **argv)
{
    static char line[65536], sql[65536];
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    bool verbose = argc > 2 && strcmp(argv[2], "-v") == 0;
    struct driver *driver = driver_new();
    struct sy_buf expected = {0}, got = {0};
    struct totals totals = {0, 0, 0};
    bool more = file != NULL && fgets(line, sizeof(line), file) != NULL;
    if (file == NULL) {
        (void)fprintf(stderr, "usage: differential_sqlite EXPECTED [-v]\n");
        return 2;
    }
    while (more) {
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(sql, sizeof(sql), "%s", line + 2);
        sy_buf_clear(&expected);
        sy_buf_clear(&got);
        while ((more = fgets(line, sizeof(line), file) != NULL) && line[0] != '>')
            sy_buf_append_str(&expected, line);
        sy_buf_append_u8(&expected, 0);
        driver_run(driver, sql, &got);
        sy_buf_append_u8(&got, 0);
        compare(sql, expected.data, &got, driver, &totals, verbose);
    }
    (void)printf("%d same, %d refused, %d different\n", totals.same, totals.refused,
                 totals.different);
    sy_buf_release(&expected);
    sy_buf_release(&got);
    driver_free(&driver);
    (void)fclose(file);
    return totals.different == 0 ? 0 : 1;
}
