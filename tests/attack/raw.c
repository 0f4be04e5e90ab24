/* A client without manners. */
#include "tests/attack/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SEND_PATIENCE_MS = 2000, READ_BYTES = 65536 };

uint64_t raw_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t raw_resident_kb(int pid)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    uint64_t kb = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtoull(line + 6, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kb;
}

bool raw_open(struct raw *raw, uint16_t port)
{
    *raw = (struct raw){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (raw->fd >= 0 && connect(raw->fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        int one = 1;
        setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return true;
    }
    if (raw->fd >= 0)
        close(raw->fd);
    raw->fd = -1;
    return false;
}

void raw_close(struct raw *raw)
{
    if (raw->fd >= 0)
        close(raw->fd);
    raw->fd = -1;
    sy_buf_release(&raw->received);
}

void raw_send(struct raw *raw, const void *data, size_t bytes)
{
    const char *at = data;
    uint64_t end = raw_now_ms() + SEND_PATIENCE_MS;
    while (bytes > 0 && raw->fd >= 0 && raw_now_ms() < end) {
        ssize_t sent = send(raw->fd, at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            at += sent;
            bytes -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN)
            return;
        struct pollfd wait = {.fd = raw->fd, .events = POLLOUT};
        (void)poll(&wait, 1, 100);
    }
}

void raw_message(struct raw *raw, char type, const void *body, size_t bytes)
{
    struct sy_buf message = {0};
    sy_buf_append_u8(&message, (uint8_t)type);
    sy_buf_append_u32(&message, (uint32_t)bytes + 4);
    sy_buf_append(&message, body, bytes);
    raw_send(raw, message.data, message.bytes);
    sy_buf_release(&message);
}

void raw_query(struct raw *raw, const char *sql)
{
    raw_message(raw, 'Q', sql, strlen(sql) + 1);
}

void raw_extended(struct raw *raw, const char *sql)
{
    struct sy_buf parse = {0};
    sy_buf_append_u8(&parse, 0);
    sy_buf_append(&parse, sql, strlen(sql) + 1);
    sy_buf_append_u16(&parse, 0);
    raw_message(raw, 'P', parse.data, parse.bytes);
    sy_buf_release(&parse);
    raw_message(raw, 'B', "\0\0\0\0\0\0\0\0", 8);
    raw_message(raw, 'E', "\0\0\0\0\0", 5);
}

void raw_startup_packet(struct raw *raw, const char *user, const char *database)
{
    struct sy_buf packet = {0};
    sy_buf_append_u32(&packet, 0);
    sy_buf_append_u32(&packet, 196608);
    sy_buf_append(&packet, "user", 5);
    sy_buf_append(&packet, user, strlen(user) + 1);
    if (database[0] != 0) {
        sy_buf_append(&packet, "database", 9);
        sy_buf_append(&packet, database, strlen(database) + 1);
    }
    sy_buf_append_u8(&packet, 0);
    uint32_t length = htonl((uint32_t)packet.bytes);
    memcpy(packet.data, &length, sizeof(length));
    raw_send(raw, packet.data, packet.bytes);
    sy_buf_release(&packet);
}

static uint32_t length_at(const char *at)
{
    uint32_t length;
    memcpy(&length, at, sizeof(length));
    return ntohl(length);
}

/* Whole messages only; *ret_last is the type of the last one. */
static bool has_message(const struct sy_buf *buf, char type)
{
    for (size_t at = 0; at + 5 <= buf->bytes;) {
        size_t bytes = (size_t)length_at(buf->data + at + 1) + 1;
        if (bytes > buf->bytes - at)
            return false;
        if (buf->data[at] == type)
            return true;
        at += bytes;
    }
    return false;
}

bool raw_read(struct raw *raw, char until, int timeout_ms)
{
    uint64_t end = raw_now_ms() + (uint64_t)timeout_ms;
    for (;;) {
        if (until != 0 && has_message(&raw->received, until))
            return true;
        uint64_t now = raw_now_ms();
        if (raw->closed || raw->fd < 0)
            return false;
        struct pollfd wait = {.fd = raw->fd, .events = POLLIN};
        if (now > end || poll(&wait, 1, (int)(end - now)) <= 0)
            return false;
        char *place = sy_buf_reserve(&raw->received, READ_BYTES);
        ssize_t got = place == NULL ? 0 : recv(raw->fd, place, READ_BYTES, MSG_DONTWAIT);
        if (got > 0)
            raw->received.bytes += (size_t)got;
        else if (got == 0 || errno != EAGAIN)
            raw->closed = true;
    }
}

static void take_key(struct raw *raw)
{
    const struct sy_buf *buf = &raw->received;
    for (size_t at = 0; at + 5 <= buf->bytes; at += (size_t)length_at(buf->data + at + 1) + 1)
        if (buf->data[at] == 'K' && buf->bytes - at >= 13) {
            raw->pid = length_at(buf->data + at + 5);
            raw->key = length_at(buf->data + at + 9);
        }
}

bool raw_login(struct raw *raw, uint16_t port, const char *user, const char *database)
{
    if (!raw_open(raw, port))
        return false;
    raw_startup_packet(raw, user, database);
    if (!raw_read(raw, 'Z', 10000))
        return false;
    take_key(raw);
    sy_buf_clear(&raw->received);
    return true;
}

static void describe_error(struct sy_buf *out, const char *body, size_t bytes)
{
    const char *severity = "?", *code = "?";
    for (size_t at = 0; at < bytes && body[at] != 0;) {
        const char *value = body + at + 1;
        size_t length = strnlen(value, bytes - at - 1);
        if (body[at] == 'V')
            severity = value;
        if (body[at] == 'C')
            code = value;
        at += length + 2;
    }
    sy_buf_printf(out, "E(%.5s,%.5s)", severity, code);
}

void raw_describe(struct raw *raw, struct sy_buf *out)
{
    const struct sy_buf *buf = &raw->received;
    size_t at = 0;
    while (at + 5 <= buf->bytes) {
        size_t bytes = (size_t)length_at(buf->data + at + 1) + 1;
        if (bytes > buf->bytes - at || bytes < 5)
            break;
        char type = buf->data[at];
        if (type == 'E')
            describe_error(out, buf->data + at + 5, bytes - 5);
        else if (type == 'Z')
            sy_buf_printf(out, "Z(%c)", buf->data[at + 5]);
        else if (type != 'N' && type != 'S' &&
                 (out->bytes == 0 || out->data[out->bytes - 1] != type))
            sy_buf_append_u8(out, (uint8_t)type);
        at += bytes;
    }
    sy_buf_consume(&raw->received, at);
    if (raw->closed)
        sy_buf_append_str(out, "!");
}
