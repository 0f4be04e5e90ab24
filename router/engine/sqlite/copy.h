/* COPY FROM STDIN and COPY TO STDOUT: text, CSV and binary. copy.c: options, start, output;
 * copy_in.c: input. */
#ifndef SY_ROUTER_ENGINE_SQLITE_COPY_H
#define SY_ROUTER_ENGINE_SQLITE_COPY_H

#include "router/engine/sqlite/session.h"

struct sy_sqlite_copy {
    struct sy_arena arena; /* options and columns; lives as long as the COPY */
    enum sy_copy_format format;
    bool is_in, header, header_match;
    char delimiter, quote, escape;
    struct sy_slice null_text;
    bool *force_quote, *force_not_null, *force_null; /* by position */

    /* in */
    const struct sy_sqrelation *relation;
    struct sy_sqlite_catalog *catalog; /* keeps `relation` alive */
    const char *sql;                   /* the INSERT */
    uint16_t *columns;                 /* indexes into relation->columns */
    uint32_t column_count;
    sqlite3_stmt *stmt;
    struct sy_arena row;     /* reset with every row */
    struct sy_buf pending;   /* the beginning of a row whose end has not come */
    struct sy_slice *fields; /* of the present row */
    bool *quoted;
    bool signature_seen, end_seen, header_seen;
    uint64_t line, rows;

    /* out */
    struct sy_sqlite_portal portal;
    bool started;
};

/* Begins a COPY; DONE with s->copy set: its data is awaited. Call again after WAIT. */
enum sy_sqlite_step sy_sqlite_copy_start(struct sy_sqlite_session *s,
                                         struct sy_sqlite_portal *portal);
/* A message while data is awaited. */
void sy_sqlite_copy_message(struct sy_sqlite_session *s, char type, struct sy_slice body);
/* Appends one row of the statement that runs. False: s->err is set. */
bool sy_sqlite_copy_out_row(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                            sqlite3_stmt *stmt);
/* Lets go of everything, whatever state it is in. */
void sy_sqlite_copy_abort(struct sy_sqlite_session *s);

/* copy_in.c: rows in `pending`, all that are whole; `last`: nothing more will come. False: s->err
 * is set. */
bool sy_sqlite_copy_rows(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, bool last);

#endif
