/* The tables of answers.h as sets of types, one bit each. Pure. Every row also holds what may come
 * at any time. */
#include "router/wire/answers.h"

#include "base/limits.h"

/* 'A'..'z' and '1'..'3' in one word; bit 0 is in no set: what is no server's message has it. */
#define SHIFT(type) ((type) >= 'A' ? (type) - 'A' + 1 : (type) - '1' + 60)
#define T(type) (UINT64_C(1) << SHIFT(type))
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

enum { TYPE_COUNT = 128 };

enum length { SHORT, NONE, ONE, COLLECTED, ENDLESS };

static const uint32_t longest[] = {
    [SHORT] = SY_LIMIT_SHORT_MESSAGE_BYTES,
    [NONE] = 0,
    [ONE] = 1,
    [COLLECTED] = SY_LIMIT_SERVER_MESSAGE_BYTES,
    [ENDLESS] = SY_LIMIT_MESSAGE_BYTES,
};

#define IS(type, length) [type] = {(uint8_t)(SHIFT(type)), length}

static const struct {
    uint8_t shift, length;
} types[TYPE_COUNT] = {
    IS('1', NONE),      IS('2', NONE),    IS('3', NONE),      IS('A', SHORT),
    IS('C', SHORT),     IS('D', ENDLESS), IS('E', COLLECTED), IS('G', SHORT),
    IS('H', SHORT),     IS('I', NONE),    IS('N', COLLECTED), IS('S', SHORT),
    IS('T', COLLECTED), IS('V', ENDLESS), IS('Z', ONE),       IS('c', NONE),
    IS('d', ENDLESS),   IS('n', NONE),    IS('s', NONE),      IS('t', COLLECTED),
};

uint32_t sy_answer_body_bytes_max(char type)
{
    return longest[types[(unsigned char)type % TYPE_COUNT].length];
}

bool sy_answer_is_legal(enum sy_answers_to to, char type, uint32_t body_bytes)
{
    unsigned char at = (unsigned char)type;
    return at < TYPE_COUNT && (legal[to] >> types[at].shift & 1) != 0 &&
           body_bytes <= longest[types[at].length];
}
