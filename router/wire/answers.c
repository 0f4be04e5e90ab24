/* The tables of answers.h as sets of types, one bit each. Pure. Every row also holds what may come
 * at any time. */
#include "router/wire/answers.h"

#include "base/limits.h"

enum { DIGIT_BIT = 60, NO_BIT = 63 };

/* 'A'..'z' and '1'..'3' in one word, as in states.c. */
#define T(type) (UINT64_C(1) << ((type) >= 'A' ? (type) - 'A' : DIGIT_BIT + (type) - '1'))
#define ANY_TIME (T('E') | T('N') | T('S') | T('A'))
#define ROWS (T('D') | T('C') | T('I') | T('G') | T('H'))

static const uint64_t legal[SY_ANSWERS_COUNT] = {
    [SY_ANSWERS_NOTHING] = ANY_TIME,
    [SY_ANSWERS_QUERY] = ANY_TIME | ROWS | T('T') | T('V') | T('Z'),
    [SY_ANSWERS_PARSE] = ANY_TIME | T('1'),
    [SY_ANSWERS_BIND] = ANY_TIME | T('2'),
    [SY_ANSWERS_DESCRIBE_STATEMENT] = ANY_TIME | T('t'),
    [SY_ANSWERS_DESCRIBE] = ANY_TIME | T('T') | T('n'),
    [SY_ANSWERS_EXECUTE] = ANY_TIME | ROWS | T('s'),
    [SY_ANSWERS_CLOSE] = ANY_TIME | T('3'),
    [SY_ANSWERS_SYNC] = ANY_TIME | T('Z'),
    [SY_ANSWERS_COPY_IN] = ANY_TIME | T('C'),
    [SY_ANSWERS_COPY_OUT] = ANY_TIME | T('d') | T('c'),
};

static uint64_t bit_of(char type)
{
    if (type >= 'A' && type <= 'z')
        return UINT64_C(1) << (type - 'A');
    if (type >= '1' && type <= '3')
        return UINT64_C(1) << (DIGIT_BIT + type - '1');
    return UINT64_C(1) << NO_BIT;
}

uint32_t sy_answer_body_bytes_max(char type)
{
    static const uint64_t without = T('1') | T('2') | T('3') | T('n') | T('I') | T('s') | T('c');
    static const uint64_t endless = T('D') | T('d') | T('V');
    static const uint64_t collected = T('T') | T('t') | T('E') | T('N');
    uint64_t bit = bit_of(type);
    if ((bit & endless) != 0)
        return SY_LIMIT_MESSAGE_BYTES;
    if ((bit & without) != 0)
        return 0;
    if ((bit & collected) != 0)
        return SY_LIMIT_SERVER_MESSAGE_BYTES;
    return type == 'Z' ? 1 : SY_LIMIT_SHORT_MESSAGE_BYTES;
}

bool sy_answer_is_legal(enum sy_answers_to to, char type, uint32_t body_bytes)
{
    return (legal[to] & bit_of(type)) != 0 && body_bytes <= sy_answer_body_bytes_max(type);
}
