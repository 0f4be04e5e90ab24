/*
 * A Query with several statements. Its text is cut at the semicolons between tokens, each piece is
 * read through the template cache, and only when all of it is grammatical does the first one run.
 * All on one shard: the text is sent as it is. Else one statement after the other, in the router's
 * own transaction, as a server runs a text of several. The worker's thread.
 *
 * A long text takes turns with other clients: after some pieces the session goes on in the loop's
 * next turn. Work is proportional to the text, since nothing looks at the whole of it per piece.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/number.h"
#include "parser/scan.h"
#include "router/session/internal.h"

enum {
    LONG_TEXT_BYTES = 2048, /* longer texts are cut before they are parsed */
    PIECES_PER_TURN = 64,
    BYTES_PER_TURN = 256 * 1024,
};

enum stage {
    STAGE_READ,  /* is all of it grammatical, and where would it go? */
    STAGE_WHOLE, /* one server takes the text as it is */
    STAGE_RUN,
};

struct piece {
    uint32_t from, to;
};

struct sy_script {
    struct piece *pieces;
    uint32_t count, capacity, next;
    uint8_t stage;   /* enum stage */
    bool by_grammar; /* the pieces are those of the grammar, not of the scanner */
    bool apart;      /* not for one server */
    bool has_effects;
    bool scs;                           /* standard_conforming_strings when the text came */
    uint32_t bytes_counted, characters; /* of the text, in front of the piece at hand */
    struct sy_target whole;
    const char *figures; /* one shard's own, to be told; NULL: none */
};

void sy_script_free(struct sy_session *session)
{
    struct sy_script *script = session->script;
    session->script = NULL;
    if (script == NULL)
        return;
    free(script->pieces);
    free(script);
}

static bool add_piece(struct sy_script *script, uint32_t from, uint32_t to)
{
    struct piece *pieces =
        sy_grown(script->pieces, script->count, &script->capacity, 16, sizeof(*pieces));
    if (pieces == NULL)
        return false;
    script->pieces = pieces;
    script->pieces[script->count++] = (struct piece){from, to};
    return true;
}

static struct sy_script *new_script(struct sy_session *session, struct sy_err *err)
{
    struct sy_script *script = calloc(1, sizeof(*script));
    if (script == NULL) {
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    script->whole.shard = UINT32_MAX;
    script->scs = session->scs;
    session->script = script;
    return script;
}

/* ---- where the statements are ---- */

/* False: no memory. */
static bool cut(struct sy_script *script, struct sy_slice text, bool scs)
{
    uint32_t from = 0, at = sy_scan_skip_blank(text, 0);
    bool empty = true;
    while (at < text.bytes) {
        if (text.data[at] == ';') {
            if (!empty && !add_piece(script, from, at))
                return false;
            from = ++at;
            empty = true;
        } else {
            at = sy_scan_token_end(text, at, scs);
            empty = false;
        }
        at = sy_scan_skip_blank(text, at);
    }
    return empty || add_piece(script, from, (uint32_t)text.bytes);
}

enum sy_status sy_script_cut(struct sy_session *session, struct sy_slice text, struct sy_err *err)
{
    if (text.bytes <= LONG_TEXT_BYTES)
        return SY_OK;
    const char *semicolon = memchr(text.data, ';', text.bytes);
    if (semicolon == NULL || semicolon + 1 == text.data + text.bytes)
        return SY_OK;
    struct sy_script *script = new_script(session, err);
    if (script == NULL)
        return SY_E_NO_MEMORY;
    if (!cut(script, text, session->scs)) {
        sy_script_free(session);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    if (script->count < 2)
        sy_script_free(session);
    return SY_OK;
}

static bool take_facts(struct sy_script *script, const struct sy_exec *exec)
{
    const struct sy_facts *facts = exec->template->facts;
    script->count = script->next = 0;
    script->by_grammar = true;
    for (int32_t i = 0; i < facts->stmt_count; i++) {
        const struct sy_stmt *stmt = &facts->stmts[i];
        uint32_t from = sy_template_position(exec->template, exec->scan, stmt->text_from);
        uint32_t to = sy_template_position(exec->template, exec->scan, stmt->text_to);
        if (!add_piece(script, from, to))
            return false;
    }
    return true;
}

enum sy_status sy_script_of_facts(struct sy_session *session, const struct sy_exec *exec,
                                  struct sy_err *err)
{
    struct sy_script *script = new_script(session, err);
    if (script == NULL)
        return SY_E_NO_MEMORY;
    if (take_facts(script, exec))
        return SY_OK;
    sy_script_free(session);
    return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
}

/* A piece is none for the grammar: the whole text has the right error, or other borders (a function
 * with a body in SQL has semicolons inside). */
static enum sy_step read_by_grammar(struct sy_session *session, struct sy_slice text,
                                    struct sy_err *err)
{
    struct sy_script *script = session->script;
    struct sy_exec exec;
    struct sy_scan scan;
    if (script->by_grammar || sy_exec_parse(session, text, &exec, &scan, err) != SY_OK)
        return SY_STEP_ERROR;
    sy_effect_drop(session);
    script->apart = script->has_effects = false;
    script->whole = (struct sy_target){.shard = UINT32_MAX};
    bool taken = take_facts(script, &exec);
    sy_template_unref(session->worker->parser, exec.template);
    if (!taken)
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return taken ? SY_STEP_AGAIN : SY_STEP_ERROR;
}

/* ---- reading ---- */

static struct sy_slice piece_text(const struct sy_script *script, struct sy_slice text)
{
    const struct piece *piece = &script->pieces[script->next];
    return (struct sy_slice){text.data + piece->from, piece->to - piece->from};
}

/* The statement may stand in a text that goes to one server as it is; *target: what came before. */
bool sy_script_is_cut(const struct sy_session *session)
{
    return session->script != NULL && session->script->apart && session->script->count > 1;
}

/* What follows is told its shard by this: it must be known first. */
static bool changes_reading(const struct sy_stmt *stmt)
{
    static const char *const names[] = {
        "search_path",     "timezone", "datestyle", "standard_conforming_strings",
        "client_encoding", "role",     "all",       "session_authorization"};
    bool set = stmt->kind == SY_STMT_SET || stmt->kind == SY_STMT_RESET;
    for (size_t i = 0; set && i < sizeof(names) / sizeof(names[0]); i++)
        if (sy_slice_eq(stmt->name, sy_slice_of(names[i])))
            return true;
    return stmt->set_config_count > 0;
}

static bool fits_one_shard(struct sy_session *session, struct sy_exec *exec,
                           struct sy_target *target)
{
    struct sy_err err = {0};
    struct sy_target own;
    if (sy_exec_route(session, exec, 0, &err) != SY_OK)
        return false;
    const struct sy_stmt *stmt = exec->stmt;
    if (session->database->renamed && sy_route_names_database(exec->route))
        return false;
    if (session->database->sharded && changes_reading(stmt))
        return false;
    /* Blocks and savepoints are the session's own book-keeping. */
    if (sy_stmt_is_local(stmt) || stmt->kind == SY_STMT_COPY_FROM || stmt->kind == SY_STMT_EMPTY ||
        sy_exec_target(session, exec, &own, &err) != SY_OK || own.several)
        return false;
    bool any =
        session->database->topology->shard_count > 1 &&
        (stmt->kind == SY_STMT_SET || stmt->kind == SY_STMT_SHOW || stmt->kind == SY_STMT_RESET);
    if (any)
        return true;
    if (target->shard != UINT32_MAX && target->shard != own.shard)
        return false;
    target->shard = own.shard;
    target->writes = target->writes || own.writes;
    return true;
}

static void weigh(struct sy_session *session, struct sy_exec *exec)
{
    struct sy_script *script = session->script;
    if (script->apart)
        return;
    if (!fits_one_shard(session, exec, &script->whole)) {
        script->apart = true;
        sy_effect_drop(session);
        return;
    }
    const char *figures = sy_tells_shard(exec);
    script->figures = figures != NULL ? figures : script->figures;
    script->has_effects = script->has_effects || sy_effect_has(session, exec);
    sy_effect_note(session, exec, true);
}

static void decide(struct sy_session *session)
{
    struct sy_script *script = session->script;
    bool whole = !script->apart && script->whole.shard != UINT32_MAX && session->txn != 'E';
    if (!whole || !script->has_effects)
        sy_effect_drop(session);
    script->stage = whole ? STAGE_WHOLE : STAGE_RUN;
    script->next = 0;
}

static enum sy_step read_some(struct sy_session *session, struct sy_slice text, struct sy_err *err)
{
    struct sy_script *script = session->script;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < PIECES_PER_TURN && bytes < BYTES_PER_TURN; i++) {
        if (script->next == script->count) {
            decide(session);
            return SY_STEP_DONE;
        }
        struct sy_exec exec;
        struct sy_scan scan;
        struct sy_slice piece = piece_text(script, text);
        if (sy_exec_parse(session, piece, &exec, &scan, err) != SY_OK)
            return read_by_grammar(session, text, err);
        exec.simple = true;
        bool single = exec.template->facts->stmt_count == 1;
        if (single)
            weigh(session, &exec);
        sy_template_unref(session->worker->parser, exec.template);
        if (!single) {
            (void)sy_err_set(err, SY_E_INTERNAL, "a statement of the text cannot be told apart");
            return read_by_grammar(session, text, err);
        }
        script->next++;
        bytes += (uint32_t)piece.bytes;
    }
    return SY_STEP_AGAIN;
}

/* ---- running ---- */

static enum sy_step run_whole(struct sy_session *session, const struct sy_frame *frame,
                              struct sy_err *err)
{
    struct sy_script *script = session->script;
    struct sy_target target = script->whole;
    enum sy_step step = sy_target_acquire(session, &target, err);
    if (step != SY_STEP_DONE)
        return step;
    sy_tell_shard(session, script->figures, target.shard);
    sy_script_free(session);
    session->statement_class = target.writes ? SY_CLASS_WRITE : SY_CLASS_READ;
    sy_simple_send(session, &target, frame, (struct sy_slice){0}, target.writes ? SY_X_WRITE : 0);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

/* The text was cut, and would have been read by one server, under the setting of its beginning. */
static bool strings_changed(const struct sy_session *session, struct sy_slice piece,
                            struct sy_err *err)
{
    if (session->script->scs == session->scs || memchr(piece.data, '\\', piece.bytes) == NULL)
        return false;
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "a backslash behind SET standard_conforming_strings in one text over several "
                     "shards is not supported");
    sy_err_hint(err, "Send the SET as a query of its own.");
    return true;
}

/* Positions in errors count the characters of the client's text. */
static void count_characters(struct sy_session *session, struct sy_slice text)
{
    struct sy_script *script = session->script;
    uint32_t to = script->pieces[script->next].from;
    for (; script->bytes_counted < to; script->bytes_counted++)
        script->characters += ((uint8_t)text.data[script->bytes_counted] & 0xc0) != 0x80;
    session->text_base = script->characters;
}

bool sy_script_put_error(struct sy_session *session, const struct sy_notice_fields *fields)
{
    char position[24];
    uint64_t at;
    struct sy_err err = {0};
    if (session->text_base == 0 || fields->position.bytes == 0 ||
        sy_number_parse_u64(fields->position, 1, UINT32_MAX, &at, &err) != SY_OK)
        return false;
    int bytes = snprintf(position, sizeof(position), "%" PRIu64, at + session->text_base);
    struct sy_notice_fields told = *fields;
    told.position = (struct sy_slice){position, (size_t)bytes};
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_notice_fields(out, 'E', &told);
    sy_session_put_buf(session, out);
    return true;
}

static enum sy_step run_piece(struct sy_session *session, struct sy_slice text, struct sy_err *err)
{
    struct sy_script *script = session->script;
    struct sy_exec exec;
    struct sy_scan scan;
    if (session->cycle_errored) { /* the rest is not run */
        sy_script_free(session);
        sy_session_set_state(session, SY_SESSION_ACTIVE);
        return SY_STEP_DONE;
    }
    struct sy_slice piece = piece_text(script, text);
    count_characters(session, text);
    if (session->txn == 'I')
        session->implicit_txn = true;
    if (strings_changed(session, piece, err) ||
        sy_exec_parse(session, piece, &exec, &scan, err) != SY_OK)
        return SY_STEP_ERROR;
    exec.simple = true;
    sy_effect_drop(session); /* those of the piece before are applied */
    enum sy_step step = sy_simple_run(session, &exec, NULL, err);
    sy_template_unref(session->worker->parser, exec.template);
    if (step != SY_STEP_DONE)
        return step;
    bool last = ++script->next == script->count;
    if (last)
        sy_script_free(session);
    else if (script->next % PIECES_PER_TURN == 0)
        sy_session_yield(session);
    return last ? SY_STEP_DONE : SY_STEP_AGAIN;
}

enum sy_step sy_script_step(struct sy_session *session, const struct sy_frame *frame,
                            struct sy_slice text, struct sy_err *err)
{
    if (session->script->stage == STAGE_READ) {
        enum sy_step step = read_some(session, text, err);
        if (step == SY_STEP_AGAIN)
            sy_session_yield(session);
        if (step != SY_STEP_DONE)
            return step;
        if (session->throttle != NULL) /* the first one is paid for */
            sy_throttle_owe(session, session->script->count - 1);
    }
    return session->script->stage == STAGE_WHOLE ? run_whole(session, frame, err)
                                                 : run_piece(session, text, err);
}
