"""psycopg2: the simple protocol with literals in the text, named cursors, COPY."""
import io

import psycopg2
import psycopg2.extras

from steps import AUTHORS, DB, HOST, PORT, USER, equal, finish, raises, step

psycopg2.extras.register_uuid()
DSN = f"host={HOST} port={PORT} dbname={DB} user={USER}"
conn = psycopg2.connect(DSN)
conn.autocommit = True
INSERT = "INSERT INTO drv_authors VALUES (%s, %s, %s, %s, %s, %s, %s)"


def run(sql, args=None, on=None):
    cur = (on or conn).cursor()
    cur.execute(sql, args)
    return cur


@step("connect")
def _():
    equal(conn.server_version // 10000 >= 15, True)
    equal(run("SELECT 1").fetchone(), (1,))


@step("types")
def _():
    run("SET TIME ZONE 'UTC'")
    for author in AUTHORS:
        equal(run(INSERT, author).rowcount, 1)
    for author in AUTHORS:
        equal(run("SELECT * FROM drv_authors WHERE id = %s", (author[0],)).fetchone(), author)


@step("update and delete")
def _():
    equal(run("UPDATE drv_authors SET name = %s WHERE id = %s", ("new", 1)).rowcount, 1)
    equal(run("DELETE FROM drv_authors WHERE id = %s", (40,)).rowcount, 1)
    equal(run("DELETE FROM drv_authors WHERE id = %s", (40,)).rowcount, 0)


@step("prepared")
def _():
    run("PREPARE by_id (bigint) AS SELECT id FROM drv_authors WHERE id = $1")
    for i in range(1, 40):
        equal(run("EXECUTE by_id (%s)", (i,)).fetchone(), (i,))
    run("DEALLOCATE by_id")


@step("transaction")
def _():
    tx = psycopg2.connect(DSN)
    run("INSERT INTO drv_posts VALUES (%s, %s, %s)", (2, 1, "kept"), tx)
    tx.commit()
    run("INSERT INTO drv_posts VALUES (%s, %s, %s)", (2, 2, "dropped"), tx)
    tx.rollback()
    equal(run("SELECT title FROM drv_posts WHERE author_id = 2", on=tx).fetchall(), [("kept",)])
    raises(psycopg2.errors.UniqueViolation, "23505", lambda: run("INSERT INTO drv_posts VALUES (2, 1, 'x')", on=tx))
    raises(psycopg2.errors.InFailedSqlTransaction, "25P02", lambda: run("SELECT 1", on=tx))
    tx.rollback()
    run("INSERT INTO drv_posts VALUES (2, 3, 'outer')", on=tx)
    run("SAVEPOINT s", on=tx)
    run("INSERT INTO drv_posts VALUES (2, 4, 'inner')", on=tx)
    run("ROLLBACK TO SAVEPOINT s", on=tx)
    tx.commit()
    equal(run("SELECT id FROM drv_posts WHERE author_id = 2 ORDER BY id", on=tx).fetchall(), [(1,), (3,)])
    tx.close()


@step("errors")
def _():
    raises(psycopg2.errors.UniqueViolation, "23505", lambda: run(INSERT, AUTHORS[0]))
    raises(psycopg2.errors.SyntaxError, "42601", lambda: run("SELEC 1"))
    raises(psycopg2.errors.UndefinedTable, "42P01", lambda: run("SELECT * FROM nowhere_at_all"))
    equal(run("SELECT 2").fetchone(), (2,))


@step("batch")
def _():
    cur = conn.cursor()
    psycopg2.extras.execute_values(cur, "INSERT INTO drv_posts VALUES %s", [(3, i, f"t{i}") for i in range(1, 201)])
    psycopg2.extras.execute_batch(cur, "UPDATE drv_posts SET title = %s WHERE author_id = %s AND id = %s",
                                  [(f"u{i}", 3, i) for i in range(1, 101)])
    equal(run("SELECT count(*) FROM drv_posts WHERE author_id = 3 AND title LIKE 'u%%'", ()).fetchone(), (100,))


@step("cursor")
def _():
    tx = psycopg2.connect(DSN)
    cur = tx.cursor(name="portions")
    cur.itersize = 30
    cur.execute("SELECT id FROM drv_posts WHERE author_id = 3 ORDER BY id")
    equal([row[0] for row in cur], list(range(1, 201)))
    tx.rollback()
    tx.close()


@step("copy")
def _():
    cur = conn.cursor()
    rows = io.StringIO("".join(f"{i},copied {i},true\n" for i in range(1000, 1500)))
    cur.copy_expert("COPY drv_authors (id, name, active) FROM STDIN WITH (FORMAT csv)", rows)
    equal(cur.rowcount, 500)
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT name FROM drv_authors WHERE id = 1234) TO STDOUT", out)
    equal(out.getvalue(), "copied 1234\n")


conn.close()
finish()
