/* Counters add up over workers; the endpoint gives them as OpenMetrics over HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/metrics/counters.h"
#include "router/metrics/endpoint.h"

static int tear_down(void **state)
{
    (void)state;
    sy_metrics_release_all();
    return 0;
}

static struct sy_metrics_block *new_block(uint32_t worker)
{
    struct sy_metrics_block *block = NULL;
    struct sy_err err;
    assert_int_equal(sy_metrics_block_new(worker, &block, &err), SY_OK);
    return block;
}

static void check_sum(void *ctx, const char *database, const struct sy_database_counters *sum)
{
    assert_string_equal(database, "blog");
    assert_int_equal(sy_counter_get(&sum->statements), 7);
    (*(int *)ctx)++;
}

static void counts_add_up_over_workers(void **state)
{
    (void)state;
    struct sy_metrics_block *a = new_block(0), *b = new_block(1);
    sy_counter_add(&sy_metrics_database(a, "blog")->statements, 3);
    sy_counter_add(&sy_metrics_database(b, "blog")->statements, 4);
    assert_ptr_equal(sy_metrics_database(a, "blog"), sy_metrics_database(a, "blog"));
    int rows = 0;
    sy_metrics_each_database(check_sum, &rows);
    assert_int_equal(rows, 1);
}

static void latency_falls_into_its_bucket(void **state)
{
    (void)state;
    struct sy_histogram histogram = {0};
    sy_histogram_add(&histogram, 100);
    sy_histogram_add(&histogram, 101);
    sy_histogram_add(&histogram, 99000000);
    assert_int_equal(sy_counter_get(&histogram.buckets[0]), 1);
    assert_int_equal(sy_counter_get(&histogram.buckets[1]), 1);
    assert_int_equal(sy_counter_get(&histogram.buckets[SY_LATENCY_BUCKETS - 1]), 1);
    assert_int_equal(sy_counter_get(&histogram.sum_us), 99000201);
}

static void gauges(void *ctx, struct sy_buf *out)
{
    (void)ctx;
    sy_metrics_write_sample(out, "test_gauge",
                            (const char *[]){"label", "quote\" back\\ line\n", NULL}, 0.5);
}

static size_t http_get(uint16_t port, const char *path, char *answer, size_t bytes)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)),
                     0);
    char request[200];
    int length = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    assert_int_equal(write(fd, request, (size_t)length), length);
    size_t used = 0;
    ssize_t got;
    while (used < bytes - 1 && (got = read(fd, answer + used, bytes - 1 - used)) > 0)
        used += (size_t)got;
    answer[used] = '\0';
    close(fd);
    return used;
}

static void endpoint_serves_openmetrics(void **state)
{
    (void)state;
    static char answer[65536];
    struct sy_metrics_endpoint *endpoint = NULL;
    struct sy_err err;
    struct sy_node_counters *node = sy_metrics_node(new_block(0), "blog", "s0", "s0/0");
    sy_counter_add(&node->by_class[SY_CLASS_READ].statements, 2);
    sy_histogram_add(&node->by_class[SY_CLASS_READ].latency, 300);
    assert_int_equal(sy_metrics_endpoint_start("127.0.0.1", 0, gauges, NULL, &endpoint, &err),
                     SY_OK);
    http_get(sy_metrics_endpoint_port(endpoint), "/metrics", answer, sizeof(answer));
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "application/openmetrics-text"));
    assert_non_null(strstr(
        answer,
        "switchyard_node_statement_seconds_bucket{database=\"blog\",shard=\"s0\",node=\"s0/0\","
        "class=\"read\",le=\"0.0005\"} 1\n"));
    assert_non_null(strstr(answer, "test_gauge{label=\"quote\\\" back\\\\ line\\n\"} 0.5\n"));
    assert_string_equal(answer + strlen(answer) - 6, "# EOF\n");
    http_get(sy_metrics_endpoint_port(endpoint), "/other", answer, sizeof(answer));
    assert_non_null(strstr(answer, "404"));
    sy_metrics_endpoint_stop(&endpoint);
}

static void refuses_an_address_it_cannot_bind(void **state)
{
    (void)state;
    struct sy_metrics_endpoint *endpoint = NULL;
    struct sy_err err;
    assert_int_equal(sy_metrics_endpoint_start("not an address", 0, NULL, NULL, &endpoint, &err),
                     SY_E_CONFIG);
    assert_null(endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(counts_add_up_over_workers, tear_down),
        cmocka_unit_test_teardown(latency_falls_into_its_bucket, tear_down),
        cmocka_unit_test_teardown(endpoint_serves_openmetrics, tear_down),
        cmocka_unit_test_teardown(refuses_an_address_it_cannot_bind, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
