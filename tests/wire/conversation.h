/*
 * Runs the script of a trace file against a server and writes the trace that results. A trace file
 * holds both: lines that begin with '$' are commands, '#' comments; '>' what the client sent, '<'
 * what the server answered.
 *
 * Commands (words are separated by blanks; "-" is an empty word; text is escaped as in trace.h):
 *     connect N [minor=M] [name=value]...   a new connection N, which becomes the present one;
 * sends the startup packet use N                                 makes connection N the present one
 *     query SQL | parse NAME TYPES SQL | describe S|P NAME | close S|P NAME | execute PORTAL LIMIT
 *     bind PORTAL STATEMENT FORMATS RESULT-FORMATS [VALUE]...     VALUE: null, t:text, x:hex
 *     call OID FORMATS RESULT-FORMAT [VALUE]...
 *     copydata TEXT | copydone | copyfail TEXT | sync | flush | terminate
 *     wait TYPE      sends what is pending and reads up to and including a message of that type
 *     wait closed    the same, up to the end of the stream
 *     cancel N       sends cancel requests for connection N until it has something to read
 *
 * Blocks; each wait has a time limit of ten seconds.
 */
#ifndef SY_TESTS_WIRE_CONVERSATION_H
#define SY_TESTS_WIRE_CONVERSATION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

SY_MUST_CHECK enum sy_status conversation_run(const char *host, const char *port,
                                              struct sy_slice script, struct sy_buf *ret_trace,
                                              struct sy_err *err);
/* A whole file. */
SY_MUST_CHECK enum sy_status conversation_load(const char *path, struct sy_buf *ret_text,
                                               struct sy_err *err);
/* Takes the next line, without its end, from *rest. */
bool conversation_line(struct sy_slice *rest, struct sy_slice *ret_line);

#endif
