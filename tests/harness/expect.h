/* Statements in order, each with its answer. Included after cmocka.h: the first answer that differs
 * fails the test, with the statement's text. */
#ifndef SY_TESTS_HARNESS_EXPECT_H
#define SY_TESTS_HARNESS_EXPECT_H

#include <stddef.h>
#include <string.h>

#include "tests/harness/router.h"

struct sy_answer {
    const char *sql;
    const char *answer; /* as of sy_tell() */
};

/*
 *     sy_expect(c, {"begin", "BEGIN"},
 *                  {"select name from t where id = 1", "one"},
 *                  {"select 1/0", "ERROR 22012"},
 *                  {"commit", "ROLLBACK"});
 */
#define sy_expect(c, ...)                                                                          \
    sy_expect_answers((c), (const struct sy_answer[]){__VA_ARGS__},                                \
                      sizeof((const struct sy_answer[]){__VA_ARGS__}) / sizeof(struct sy_answer),  \
                      __FILE__, __LINE__)

static inline void sy_expect_answers(PGconn *c, const struct sy_answer *answers, size_t count,
                                     const char *file, int line)
{
    for (size_t i = 0; i < count; i++) {
        const char *told = sy_tell(c, answers[i].sql);
        if (strcmp(told, answers[i].answer) == 0)
            continue;
        print_error("%s\nis answered \"%s\", not \"%s\"\n", answers[i].sql, told,
                    answers[i].answer);
        _fail(file, line);
    }
}

#endif
