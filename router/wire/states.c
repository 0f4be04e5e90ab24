/* The tables of states.h as sets of types, one bit each. Pure: constant data and a shift per
 * message. */
#include "router/wire/states.h"

#include <stddef.h>

#include "base/limits.h"

enum { SMALL_BODY_BYTES = 10000, DIGIT_BIT = 60, NO_BIT = 63 };

/* 'A'..'z' and '1'..'3' in one word; bit 63 stands for all other bytes and is in no set. */
#define T(type) (UINT64_C(1) << ((type) >= 'A' ? (type) - 'A' : DIGIT_BIT + (type) - '1'))

static uint64_t bit_of(char type)
{
    if (type >= 'A' && type <= 'z')
        return UINT64_C(1) << (type - 'A');
    if (type >= '1' && type <= '3')
        return UINT64_C(1) << (DIGIT_BIT + type - '1');
    return UINT64_C(1) << NO_BIT;
}

struct verdicts {
    uint64_t accept, ignore;
};

static const uint64_t extended = T('P') | T('B') | T('D') | T('E') | T('C') | T('H');
static const uint64_t copying = T('d') | T('c') | T('f');

static struct verdicts client_verdicts(enum sy_client_state state)
{
    switch (state) {
    case SY_CLIENT_AUTH:
        return (struct verdicts){T('p'), 0};
    case SY_CLIENT_READY:
        return (struct verdicts){extended | T('Q') | T('F') | T('S') | T('X'), copying};
    case SY_CLIENT_SKIP:
        return (struct verdicts){T('S') | T('X'), extended | copying | T('Q') | T('F')};
    case SY_CLIENT_COPY_IN:
        return (struct verdicts){copying, T('H') | T('S')};
    case SY_CLIENT_STARTUP:
    case SY_CLIENT_CLOSED:
    case SY_CLIENT_STATE_COUNT:
    default:
        return (struct verdicts){0, 0};
    }
}

static const uint64_t always = T('E') | T('N');
static const uint64_t async = T('E') | T('N') | T('S') | T('A');
static const uint64_t answers = T('1') | T('2') | T('3') | T('n') | T('t') | T('T') | T('D') |
                                T('C') | T('I') | T('s') | T('G') | T('H') | T('V') | T('Z');

static uint64_t server_accepts(enum sy_server_state state)
{
    switch (state) {
    case SY_SERVER_AUTH:
        return always | T('R') | T('v');
    case SY_SERVER_SETUP:
        return always | T('S') | T('K') | T('Z');
    case SY_SERVER_IDLE:
        return async;
    case SY_SERVER_BUSY:
        return async | answers;
    case SY_SERVER_COPY_IN:
        return async | T('C');
    case SY_SERVER_COPY_OUT:
        return async | T('d') | T('c');
    case SY_SERVER_FAILED:
        return async | T('Z');
    case SY_SERVER_CLOSED:
    case SY_SERVER_STATE_COUNT:
    default:
        return 0;
    }
}

enum sy_frame_verdict sy_client_may_send(enum sy_client_state state, char type)
{
    struct verdicts verdicts = client_verdicts(state);
    uint64_t bit = bit_of(type);
    if ((verdicts.accept & bit) != 0)
        return SY_FRAME_ACCEPT;
    return (verdicts.ignore & bit) != 0 ? SY_FRAME_IGNORE : SY_FRAME_REFUSE;
}

enum sy_frame_verdict sy_server_may_send(enum sy_server_state state, char type)
{
    return (server_accepts(state) & bit_of(type)) != 0 ? SY_FRAME_ACCEPT : SY_FRAME_REFUSE;
}

uint32_t sy_client_body_bytes_max(char type)
{
    static const uint64_t large = T('Q') | T('F') | T('B') | T('P') | T('d');
    return (large & bit_of(type)) != 0 ? (uint32_t)SY_LIMIT_MESSAGE_BYTES : SMALL_BODY_BYTES;
}

/* The answers to one request: those after which more comes, and those that end it. */
struct answer_set {
    uint64_t part, last;
};

static struct answer_set answers_to(char request)
{
    static const uint64_t rows = T('D') | T('G') | T('H') | T('d') | T('c');
    switch (request) {
    case 'Q':
        return (struct answer_set){rows | T('T') | T('C') | T('I'), T('Z')};
    case 'F':
        return (struct answer_set){T('V'), T('Z')};
    case 'P':
        return (struct answer_set){0, T('1')};
    case 'B':
        return (struct answer_set){0, T('2')};
    case 'C':
        return (struct answer_set){0, T('3')};
    case 'D':
        return (struct answer_set){0, T('T') | T('n')};
    case 'd':
        return (struct answer_set){T('t'), T('T') | T('n')};
    case 'E':
        return (struct answer_set){rows, T('C') | T('I') | T('s')};
    case 'S':
        return (struct answer_set){0, T('Z')};
    default:
        return (struct answer_set){0, 0};
    }
}

enum sy_reply sy_reply_of(char request, char reply)
{
    if (reply == 'E')
        return SY_REPLY_ERROR;
    uint64_t bit = bit_of(reply);
    if ((async & bit) != 0)
        return SY_REPLY_ASYNC;
    struct answer_set set = answers_to(request);
    if ((set.last & bit) != 0)
        return SY_REPLY_LAST;
    return (set.part & bit) != 0 ? SY_REPLY_PART : SY_REPLY_WRONG;
}

struct type_name {
    char type;
    const char *name;
};

static const char *find_name(const struct type_name *names, char type)
{
    for (; names->name != NULL; names++)
        if (names->type == type)
            return names->name;
    return "unknown";
}

const char *sy_client_type_name(char type)
{
    static const struct type_name names[] = {
        {'Q', "Query"},    {'P', "Parse"},     {'B', "Bind"},     {'D', "Describe"},
        {'E', "Execute"},  {'C', "Close"},     {'S', "Sync"},     {'H', "Flush"},
        {'F', "Function"}, {'X', "Terminate"}, {'p', "Password"}, {'d', "CopyData"},
        {'c', "CopyDone"}, {'f', "CopyFail"},  {'\0', NULL},
    };
    return find_name(names, type);
}

const char *sy_server_type_name(char type)
{
    static const struct type_name names[] = {
        {'R', "Authentication"},
        {'S', "ParameterStatus"},
        {'K', "BackendKeyData"},
        {'Z', "ReadyForQuery"},
        {'E', "ErrorResponse"},
        {'N', "NoticeResponse"},
        {'A', "Notification"},
        {'T', "RowDescription"},
        {'D', "DataRow"},
        {'C', "CommandComplete"},
        {'I', "EmptyQuery"},
        {'1', "ParseComplete"},
        {'2', "BindComplete"},
        {'3', "CloseComplete"},
        {'n', "NoData"},
        {'s', "PortalSuspended"},
        {'t', "ParameterDescription"},
        {'G', "CopyInResponse"},
        {'H', "CopyOutResponse"},
        {'W', "CopyBothResponse"},
        {'d', "CopyData"},
        {'c', "CopyDone"},
        {'V', "FunctionCallResponse"},
        {'v', "NegotiateProtocolVersion"},
        {'\0', NULL},
    };
    return find_name(names, type);
}
