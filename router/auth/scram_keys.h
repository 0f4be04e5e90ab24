/* The arithmetic that both sides of SCRAM share; not for other folders. */
#ifndef SY_ROUTER_AUTH_SCRAM_KEYS_H
#define SY_ROUTER_AUTH_SCRAM_KEYS_H

#include "router/auth/scram.h"

/* HMAC-SHA-256 of client-first-bare "," server-first "," client-final-without-proof. False: no
 * memory. */
bool sy_scram_sign(const uint8_t key[SY_SCRAM_KEY_BYTES], const struct sy_buf *first_bare,
                   const struct sy_buf *server_first, struct sy_slice final_bare,
                   uint8_t ret_signature[SY_SCRAM_KEY_BYTES]);
bool sy_scram_sha256(const void *data, size_t bytes, uint8_t ret_hash[SY_SCRAM_KEY_BYTES]);
/* Appends "c=" and base64(gs2 header, binding when the flag is 'p'). */
void sy_scram_append_binding(struct sy_buf *out, char flag, const uint8_t *binding, uint32_t bytes);
/* Takes "<attribute>=value" up to the next comma or the end from *rest. False: another attribute or
 * no '='. */
bool sy_scram_attribute(struct sy_slice *rest, char attribute, struct sy_slice *ret_value);
/* The same for any letter. */
bool sy_scram_any_attribute(struct sy_slice *rest, char *ret_attribute, struct sy_slice *ret_value);
/* Printable ASCII without a comma, not empty. */
bool sy_scram_nonce_ok(struct sy_slice nonce);
/* Decimal digits, from 1 to INT32_MAX. */
bool sy_scram_number(struct sy_slice text, uint32_t *ret_number);

#endif
