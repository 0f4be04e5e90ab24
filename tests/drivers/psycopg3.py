"""psycopg 3: extended protocol, automatic prepared statements, server-side cursors, pipeline mode, COPY."""
import psycopg

from steps import AUTHORS, DB, HOST, PORT, USER, equal, finish, raises, step

INFO = f"host={HOST} port={PORT} dbname={DB} user={USER}"
conn = psycopg.connect(INFO, autocommit=True)
INSERT = "INSERT INTO drv_authors VALUES (%s, %s, %s, %s, %s, %s, %s)"


@step("connect")
def _():
    equal(conn.info.server_version // 10000 >= 15, True)
    equal(conn.execute("SELECT 1").fetchone(), (1,))
    equal(conn.info.parameter_status("server_encoding"), "UTF8")


@step("types")
def _():
    conn.execute("SET TIME ZONE 'UTC'")
    for author in AUTHORS:
        equal(conn.execute(INSERT, author).rowcount, 1)
    for author in AUTHORS:
        for binary in (False, True):
            got = conn.execute("SELECT * FROM drv_authors WHERE id = %s", (author[0],), binary=binary).fetchone()
            equal(got, author)


@step("update and delete")
def _():
    equal(conn.execute("UPDATE drv_authors SET name = %s WHERE id = %s", ("new", 1)).rowcount, 1)
    equal(conn.execute("SELECT name FROM drv_authors WHERE id = %s", (1,)).fetchone(), ("new",))
    equal(conn.execute("DELETE FROM drv_authors WHERE id = %s", (40,)).rowcount, 1)
    equal(conn.execute("DELETE FROM drv_authors WHERE id = %s", (40,)).rowcount, 0)


@step("prepared")
def _():
    for i in range(1, 40):
        row = conn.execute("SELECT id, rating FROM drv_authors WHERE id = %s", (i,), prepare=True).fetchone()
        equal(row, (i, AUTHORS[i - 1][3]))


@step("transaction")
def _():
    with psycopg.connect(INFO) as tx:
        tx.execute("INSERT INTO drv_posts VALUES (%s, %s, %s)", (2, 1, "kept"))
        tx.commit()
        tx.execute("INSERT INTO drv_posts VALUES (%s, %s, %s)", (2, 2, "dropped"))
        tx.rollback()
        equal(tx.execute("SELECT title FROM drv_posts WHERE author_id = 2").fetchall(), [("kept",)])
        tx.rollback()
        raises(psycopg.errors.UniqueViolation, "23505",
               lambda: tx.execute("INSERT INTO drv_posts VALUES (2, 1, 'again')"))
        raises(psycopg.errors.InFailedSqlTransaction, "25P02", lambda: tx.execute("SELECT 1"))
        tx.rollback()
        with tx.transaction():
            tx.execute("INSERT INTO drv_posts VALUES (2, 3, 'outer')")
            try:
                with tx.transaction():
                    tx.execute("INSERT INTO drv_posts VALUES (2, 4, 'inner')")
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
        equal(tx.execute("SELECT id FROM drv_posts WHERE author_id = 2 ORDER BY id").fetchall(), [(1,), (3,)])


@step("errors")
def _():
    error = raises(psycopg.errors.UniqueViolation, "23505", lambda: conn.execute(INSERT, AUTHORS[0]))
    equal(error.diag.constraint_name, "drv_authors_pkey")
    raises(psycopg.errors.SyntaxError, "42601", lambda: conn.execute("SELEC 1"))
    raises(psycopg.errors.UndefinedTable, "42P01", lambda: conn.execute("SELECT * FROM nowhere_at_all"))
    equal(conn.execute("SELECT 2").fetchone(), (2,))


@step("batch")
def _():
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO drv_posts VALUES (%s, %s, %s)", [(3, i, f"t{i}") for i in range(1, 201)])
        equal(cur.rowcount, 200)
    if psycopg.pq.version() >= 140000:
        with conn.pipeline():
            cursors = [conn.execute("SELECT count(*) FROM drv_posts WHERE author_id = %s", (3,)) for _ in range(20)]
        equal([c.fetchone()[0] for c in cursors], [200] * 20)


@step("cursor")
def _():
    with conn.transaction(), conn.cursor(name="portions") as cur:
        cur.itersize = 30
        cur.execute("SELECT id FROM drv_posts WHERE author_id = 3 ORDER BY id")
        equal([row[0] for row in cur], list(range(1, 201)))


@step("copy")
def _():
    with conn.cursor() as cur:
        with cur.copy("COPY drv_authors (id, name, active) FROM STDIN") as copy:
            for i in range(1000, 1500):
                copy.write_row((i, f"copied\t{i}", True))
        equal(cur.rowcount, 500)
        with cur.copy("COPY (SELECT name FROM drv_authors WHERE id = 1234) TO STDOUT") as copy:
            equal(b"".join(bytes(b) for b in copy), b"copied\\t1234\n")
    equal(conn.execute("SELECT active FROM drv_authors WHERE id = %s", (1499,)).fetchone(), (True,))


conn.close()
finish()
