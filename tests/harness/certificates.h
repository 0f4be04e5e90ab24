/* A test authority and a server certificate. */
#ifndef SY_TESTS_HARNESS_CERTIFICATES_H
#define SY_TESTS_HARNESS_CERTIFICATES_H

/* Writes ca.crt, server.crt and server.key into dir: for DNS names localhost and `extra_name` (may
 * be NULL), and for 127.0.0.1. Failures end the program. */
void sy_test_certificates(const char *dir, const char *extra_name);

#endif
