/* Every byte as a type, in every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/limits.h"
#include "router/wire/states.h"

static bool has(const char *set, int type)
{
    return type != 0 && strchr(set, type) != NULL;
}

static void clients_may_send_what_the_protocol_says(void **state)
{
    (void)state;
    static const struct {
        enum sy_client_state state;
        const char *accept, *ignore;
    } rows[] = {
        {SY_CLIENT_STARTUP, "", ""},
        {SY_CLIENT_AUTH, "p", ""},
        {SY_CLIENT_READY, "QFPBDECHSX", "dcf"},
        {SY_CLIENT_SKIP, "SX", "QFPBDECHdcf"},
        {SY_CLIENT_COPY_IN, "dcf", "HS"},
        {SY_CLIENT_CLOSED, "", ""},
    };
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), SY_CLIENT_STATE_COUNT);
    for (size_t i = 0; i < SY_CLIENT_STATE_COUNT; i++)
        for (int type = 0; type < 256; type++) {
            enum sy_frame_verdict wanted = has(rows[i].accept, type)   ? SY_FRAME_ACCEPT
                                           : has(rows[i].ignore, type) ? SY_FRAME_IGNORE
                                                                       : SY_FRAME_REFUSE;
            assert_int_equal(sy_client_may_send(rows[i].state, (char)type), wanted);
        }
}

static void servers_may_send_what_the_protocol_says(void **state)
{
    (void)state;
    static const struct {
        enum sy_server_state state;
        const char *accept;
    } rows[] = {
        {SY_SERVER_AUTH, "RvEN"},     {SY_SERVER_SETUP, "SKZEN"},
        {SY_SERVER_IDLE, "ENSA"},     {SY_SERVER_BUSY, "ENSA123ntTDCIsGHVZ"},
        {SY_SERVER_COPY_IN, "ENSAC"}, {SY_SERVER_COPY_OUT, "ENSAdc"},
        {SY_SERVER_FAILED, "ENSAZ"},  {SY_SERVER_CLOSED, ""},
    };
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), SY_SERVER_STATE_COUNT);
    for (size_t i = 0; i < SY_SERVER_STATE_COUNT; i++)
        for (int type = 0; type < 256; type++)
            assert_int_equal(sy_server_may_send(rows[i].state, (char)type),
                             has(rows[i].accept, type) ? SY_FRAME_ACCEPT : SY_FRAME_REFUSE);
}

static void replies_belong_to_their_requests(void **state)
{
    (void)state;
    static const struct {
        char request;
        const char *part, *last;
    } rows[] = {
        {'Q', "TDCIGHdc", "Z"}, {'F', "V", "Z"}, {'P', "", "1"},   {'B', "", "2"},
        {'C', "", "3"},         {'D', "", "Tn"}, {'d', "t", "Tn"}, {'E', "DGHdc", "CIs"},
        {'S', "", "Z"},         {'H', "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int type = 0; type < 256; type++) {
            enum sy_reply wanted = type == 'E'               ? SY_REPLY_ERROR
                                   : has("NSA", type)        ? SY_REPLY_ASYNC
                                   : has(rows[i].last, type) ? SY_REPLY_LAST
                                   : has(rows[i].part, type) ? SY_REPLY_PART
                                                             : SY_REPLY_WRONG;
            assert_int_equal(sy_reply_of(rows[i].request, (char)type), wanted);
        }
}

static void every_legal_type_has_a_name_and_a_length(void **state)
{
    (void)state;
    for (int type = 0; type < 256; type++) {
        bool client = has("QFPBDECHSXdcfp", type);
        bool server = has("RvENSKZA123ntTDCIsGHWVdc", type);
        assert_int_equal(strcmp(sy_client_type_name((char)type), "unknown") != 0, client);
        assert_int_equal(strcmp(sy_server_type_name((char)type), "unknown") != 0, server);
        assert_int_equal(sy_client_body_bytes_max((char)type),
                         has("QFPBd", type) ? SY_LIMIT_MESSAGE_BYTES : 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_may_send_what_the_protocol_says),
        cmocka_unit_test(servers_may_send_what_the_protocol_says),
        cmocka_unit_test(replies_belong_to_their_requests),
        cmocka_unit_test(every_legal_type_has_a_name_and_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
