/*
 * A client that says what it likes: bytes on a socket, without libpq and without manners. For tests
 * that attack the router and compare it with PostgreSQL. One thread.
 */
#ifndef SY_TESTS_ATTACK_RAW_H
#define SY_TESTS_ATTACK_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct raw {
    int fd; /* -1: not open */
    uint32_t pid;
    uint32_t key;
    struct sy_buf received; /* not yet taken */
    bool closed;            /* the peer closed */
};

/* Connects to 127.0.0.1:port. False: refused. */
bool raw_open(struct raw *raw, uint16_t port);
void raw_close(struct raw *raw);
/* Sends what the peer takes; what it does not take within two seconds is dropped. */
void raw_send(struct raw *raw, const void *data, size_t bytes);
/* A message with this type and body. */
void raw_message(struct raw *raw, char type, const void *body, size_t bytes);
void raw_query(struct raw *raw, const char *sql);
/* Parse (unnamed), Bind, Execute of a statement without parameters. */
void raw_extended(struct raw *raw, const char *sql);
/* The startup packet of protocol 3.0; "" for database: none is named. */
void raw_startup_packet(struct raw *raw, const char *user, const char *database);
/* Connects, sends the startup packet, waits for ReadyForQuery (trust). */
bool raw_login(struct raw *raw, uint16_t port, const char *user, const char *database);
/* Reads for at most timeout_ms; returns once `until` (0: none) was received as a message type or
 * the peer closed. */
bool raw_read(struct raw *raw, char until, int timeout_ms);
/*
 * Takes all whole messages received and appends what they are to `out`: a letter for each type,
 * runs of one type once, errors as E(severity,sqlstate), ReadyForQuery as Z(status); '!' when the
 * peer closed. Notices and ParameterStatus are left out.
 */
void raw_describe(struct raw *raw, struct sy_buf *out);
/* Resident memory of a process in kB, 0: gone. */
uint64_t raw_resident_kb(int pid);
uint64_t raw_now_ms(void);

#endif
