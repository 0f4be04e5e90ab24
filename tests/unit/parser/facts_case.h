/* A statement and its facts as printed. */
#ifndef SY_TESTS_UNIT_PARSER_FACTS_CASE_H
#define SY_TESTS_UNIT_PARSER_FACTS_CASE_H

struct facts_case {
    const char *text, *facts;
};

#endif
