/* Log lines: form, escaping, bounds, budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"

static int log_fd;
static char text[1 << 20];

static void begin(enum sy_log_level least, enum sy_log_format format)
{
    char path[] = "/tmp/sy_log_test_XXXXXX";
    log_fd = mkstemp(path);
    assert_true(log_fd >= 0);
    unlink(path);
    sy_log_configure(least, format, log_fd);
}

static const char *so_far(void)
{
    ssize_t bytes = pread(log_fd, text, sizeof(text) - 1, 0);
    assert_true(bytes >= 0);
    text[bytes] = '\0';
    return text;
}

/* What was written; closes the file. */
static const char *end(void)
{
    (void)so_far();
    close(log_fd);
    sy_log_configure(SY_LOG_INFO, SY_LOG_LOGFMT, 2);
    return text;
}

static unsigned count_lines(const char *at)
{
    unsigned lines = 0;
    while ((at = strchr(at, '\n')) != NULL) {
        lines++;
        at++;
    }
    return lines;
}

static void writes_logfmt(void **state)
{
    (void)state;
    begin(SY_LOG_INFO, SY_LOG_LOGFMT);
    SY_LOG(SY_LOG_INFO, "listening", SY_KV_STR("address", "127.0.0.1"), SY_KV_INT("port", 6432),
           SY_KV_STR("why", "a \"b\" \\ \n\x1b[31m\x7f"), SY_KV_STR("none", NULL));
    const char *line = end();
    assert_int_equal(strncmp(line, "ts=\"", 3), 0);
    assert_non_null(strstr(line, "Z level=info event=listening address=127.0.0.1 port=6432 "
                                 "why=\"a \\\"b\\\" \\\\ \\n\\u001b[31m\\u007f\" none=\"\"\n"));
}

static void writes_json(void **state)
{
    (void)state;
    begin(SY_LOG_INFO, SY_LOG_JSON);
    SY_LOG(SY_LOG_WARN, "odd", SY_KV_STR("bytes", "gr\xc3\xbc\xc3\x9f \xff \xed\xa0\x80 \xc2\x9b"),
           SY_KV_INT("least", INT64_MIN));
    const char *line = end();
    assert_int_equal(strncmp(line, "{\"ts\":\"20", 9), 0);
    assert_non_null(strstr(line,
                           "\"level\":\"warn\",\"event\":\"odd\",\"bytes\":\"gr\xc3\xbc\xc3\x9f "
                           "\\ufffd \\ufffd\\ufffd\\ufffd \\u009b\","
                           "\"least\":-9223372036854775808}\n"));
}

static void drops_what_is_below_the_level(void **state)
{
    (void)state;
    begin(SY_LOG_WARN, SY_LOG_LOGFMT);
    SY_LOG(SY_LOG_INFO, "quiet", SY_KV_INT("n", 1));
    sy_log_write(SY_LOG_DEBUG, "quiet", NULL, 0);
    sy_log_write(SY_LOG_ERROR, "loud", NULL, 0);
    const char *lines = end();
    assert_int_equal(count_lines(lines), 1);
    assert_non_null(strstr(lines, "event=loud\n"));
}

static void cuts_a_long_line_and_keeps_it_well_formed(void **state)
{
    (void)state;
    static char value[SY_LIMIT_LOG_LINE_BYTES * 2];
    for (unsigned json = 0; json < 2; json++) {
        for (size_t bytes = SY_LIMIT_LOG_LINE_BYTES - 300; bytes < SY_LIMIT_LOG_LINE_BYTES + 20;
             bytes++) {
            memset(value, 'x', bytes);
            value[bytes] = '\0';
            begin(SY_LOG_INFO, json ? SY_LOG_JSON : SY_LOG_LOGFMT);
            SY_LOG(SY_LOG_FATAL, "long", SY_KV_STR("v", value), SY_KV_INT("n", 1234567),
                   SY_KV_STR("s", "a b"));
            const char *line = end();
            size_t got = strlen(line);
            assert_in_range(got, 10, SY_LIMIT_LOG_LINE_BYTES);
            assert_int_equal(count_lines(line), 1);
            assert_int_equal(line[got - 1], '\n');
            unsigned quotes = 0;
            for (size_t i = 0; i < got; i++)
                quotes += line[i] == '"';
            assert_int_equal(quotes % 2, 0);
            if (json)
                assert_int_equal(line[got - 2], '}');
        }
    }
}

static void suppresses_an_event_that_repeats(void **state)
{
    (void)state;
    begin(SY_LOG_INFO, SY_LOG_LOGFMT);
    for (int i = 0; i < 5000; i++)
        SY_LOG(SY_LOG_INFO, "flood", SY_KV_INT("i", i));
    SY_LOG(SY_LOG_INFO, "other", SY_KV_INT("i", 1));
    const char *lines = end();
    assert_in_range(count_lines(lines), SY_LIMIT_LOG_LINES_PER_SECOND + 2,
                    3 * SY_LIMIT_LOG_LINES_PER_SECOND);
    assert_non_null(strstr(lines, "level=warn event=suppressed of=flood\n"));
    assert_non_null(strstr(lines, "event=other"));
}

/* Once a second the lines that were left out are counted. */
static void counts_what_it_suppressed(void **state)
{
    (void)state;
    begin(SY_LOG_INFO, SY_LOG_LOGFMT);
    for (int i = 0; i < SY_LIMIT_LOG_LINES_PER_SECOND + 50; i++)
        SY_LOG(SY_LOG_INFO, "burst", SY_KV_INT("i", i));
    bool counted = false;
    for (int i = 0; i < 1000 && !counted; i++) {
        nanosleep(&(struct timespec){0, 10 * 1000000L}, NULL);
        SY_LOG(SY_LOG_INFO, "burst", SY_KV_INT("i", i));
        counted = strstr(so_far(), "event=suppressed of=burst lines=") != NULL;
    }
    assert_true(counted);
    (void)end();
}

static void tells_an_error_record(void **state)
{
    (void)state;
    struct sy_err err;
    enum sy_status status = sy_err_set_errno(&err, SY_E_CONNECT, 111, "cannot reach %s", "s0");
    assert_int_equal(status, SY_E_CONNECT);
    sy_err_hint(&err, "is it up?");
    begin(SY_LOG_INFO, SY_LOG_LOGFMT);
    sy_log_err(SY_LOG_ERROR, "dial", &err);
    const char *line = end();
    assert_non_null(strstr(line,
                           "event=dial status=SY_E_CONNECT sqlstate=08001 message=\"cannot reach "
                           "s0\" errno=\"Connection refused\" hint=\"is it up?\" file="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_logfmt),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(drops_what_is_below_the_level),
        cmocka_unit_test(cuts_a_long_line_and_keeps_it_well_formed),
        cmocka_unit_test(suppresses_an_event_that_repeats),
        cmocka_unit_test(counts_what_it_suppressed),
        cmocka_unit_test(tells_an_error_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
