/* Facts in one line of text, for tests, EXPLAIN and debugging. */
#ifndef SY_PARSER_FACTS_PRINT_H
#define SY_PARSER_FACTS_PRINT_H

#include "base/buf.h"
#include "parser/facts.h"

/*
 * Appends everything but byte positions, so that facts of two texts of one template print the same.
 * Sections are parted by " | " and left out when empty; statements by " ;; ":
 *
 *     SELECT | s0 limit where=(AND (= t0.id ?0) OTHER) | s1<0 SELECT sublink | t0 read s.name
 * alias@0 | t0.a@0>t1.b@1 | fn now/0 | limit ?1
 *
 * Values: ?0 the first literal, -?0 negated, $1 a parameter, NULL, true, false, DEFAULT, * unknown;
 * ::type a cast, any(..) an array whose elements are meant.
 */
void sy_facts_print(const struct sy_facts *facts, struct sy_buf *out);

#endif
