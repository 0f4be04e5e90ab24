/*
 * Records what a real PostgreSQL answers: statements on standard input (one a line, empty lines and
 * lines that start with "--" are skipped; after a line "--! refused" the engine is expected to
 * refuse the next one) come out with their column types, rows or SQLSTATE. The database must be an
 * empty one with LC_COLLATE C and LC_CTYPE C.UTF-8, TimeZone UTC unless the statements set it.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_value(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '|')
            (void)putchar('\\');
        if (*text == '\n')
            (void)fputs("\\n", stdout);
        else
            (void)putchar(*text);
    }
}

static void put_rows(const PGresult *result)
{
    int columns = PQnfields(result);
    if (columns == 0)
        return;
    (void)putchar('T');
    for (int c = 0; c < columns; c++)
        (void)printf(" %u:%d:%s", PQftype(result, c), PQfmod(result, c), PQfname(result, c));
    (void)putchar('\n');
    for (int r = 0; r < PQntuples(result); r++) {
        (void)fputs("R ", stdout);
        for (int c = 0; c < columns; c++) {
            if (c > 0)
                (void)putchar('|');
            if (PQgetisnull(result, r, c))
                (void)fputs("\\N", stdout);
            else
                put_value(PQgetvalue(result, r, c));
        }
        (void)putchar('\n');
    }
}

int main(int argc, char **argv)
{
    char line[65536];
    int refused = 0;
    PGconn *conn = PQconnectdb(argc > 1 ? argv[1] : "");
    if (PQstatus(conn) != CONNECTION_OK) {
        (void)fprintf(stderr, "%s", PQerrorMessage(conn));
        return 1;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        refused = refused || strcmp(line, "--! refused") == 0;
        if (line[0] == '\0' || strncmp(line, "--", 2) == 0)
            continue;
        (void)printf("> %s\n%s", line, refused ? "! refused\n" : "");
        refused = 0;
        PGresult *result = PQexec(conn, line);
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_FATAL_ERROR) {
            const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
            (void)printf("E %s %s %s\n", PQresultErrorField(result, PG_DIAG_SQLSTATE),
                         position == NULL ? "0" : position,
                         PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        } else {
            put_rows(result);
            (void)printf("C %s\n", PQcmdStatus(result));
        }
        PQclear(result);
    }
    PQfinish(conn);
    return 0;
}
