/*
 * A PostgreSQL server that lies: it says what a script tells it to, byte for byte, at each point of
 * the login and after each Query or Sync. It lies to connections of one application_name
 * ("switchyard": the data path; "switchyard monitor", "switchyard inspection", "switchyard
 * resolver": the control plane) and passes all others on to a real server.
 *
 * Thread: a server has threads of its own; the functions may be called from one thread.
 */
#ifndef SY_TESTS_HARNESS_SCRIPTED_SERVER_H
#define SY_TESTS_HARNESS_SCRIPTED_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sy_scripted_server;

/* Bytes that a server says; `data` NULL: nothing. */
struct sy_saying {
    const char *data;
    size_t bytes;
};

struct sy_script {
    struct sy_saying login;    /* to the startup packet; nothing: a login without a password */
    struct sy_saying proof[2]; /* to the first and second password message: "%r" in it stands for
                                  the client's SCRAM nonce, and the length is made right */
    struct sy_saying first;  /* to the first Query or Sync of a connection; nothing: as to others */
    struct sy_saying answer; /* to each Query and Sync */
    struct sy_saying again;  /* then, without end */
    bool closes;             /* after what was said last */
};

/*
 * port: sy_free_port(). honest_port: of the real server. lies_to must outlive the server. It has
 * threads: processes (a router) are to be forked before, or ThreadSanitizer ends them.
 */
struct sy_scripted_server *sy_scripted_server_start(uint16_t port, uint16_t honest_port,
                                                    const char *lies_to);
void sy_scripted_server_set(struct sy_scripted_server *server, const struct sy_script *script);
/* How many Queries and Syncs were answered, or begun to be. */
uint64_t sy_scripted_server_answers(const struct sy_scripted_server *server);
void sy_scripted_server_stop(struct sy_scripted_server **server);

#endif
