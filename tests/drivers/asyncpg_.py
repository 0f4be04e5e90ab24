"""asyncpg: everything prepared and binary, introspection of types, cursors, COPY in binary."""
import asyncio

import asyncpg

from steps import AUTHORS, DB, HOST, PORT, USER, equal, finish, step

INSERT = "INSERT INTO drv_authors VALUES ($1, $2, $3, $4, $5, $6, $7)"
loop = asyncio.new_event_loop()


def on_loop(name):
    def wrap(function):
        @step(name)
        def _():
            loop.run_until_complete(function())
    return wrap


async def refused(classes, sqlstate, awaitable):
    try:
        await awaitable
    except classes as error:
        equal(error.sqlstate, sqlstate)
        return error
    raise AssertionError(f"no error, wanted {sqlstate}")


conn = loop.run_until_complete(asyncpg.connect(host=HOST, port=PORT, database=DB, user=USER))


@on_loop("connect")
async def _():
    equal(conn.get_server_version().major >= 15, True)
    equal(await conn.fetchval("SELECT 1"), 1)


@on_loop("types")
async def _():
    for author in AUTHORS:
        equal(await conn.execute(INSERT, *author), "INSERT 0 1")
    for author in AUTHORS:
        equal(tuple(await conn.fetchrow("SELECT * FROM drv_authors WHERE id = $1", author[0])), author)


@on_loop("update and delete")
async def _():
    equal(await conn.execute("UPDATE drv_authors SET name = $1 WHERE id = $2", "new", 1), "UPDATE 1")
    equal(await conn.execute("DELETE FROM drv_authors WHERE id = $1", 40), "DELETE 1")
    equal(await conn.execute("DELETE FROM drv_authors WHERE id = $1", 40), "DELETE 0")


@on_loop("prepared")
async def _():
    statement = await conn.prepare("SELECT id, rating FROM drv_authors WHERE id = $1")
    equal([a.name for a in statement.get_attributes()], ["id", "rating"])
    equal([p.name for p in statement.get_parameters()], ["int8"])
    for i in range(1, 40):
        equal(tuple(await statement.fetchrow(i)), (i, AUTHORS[i - 1][3]))


@on_loop("transaction")
async def _():
    async with conn.transaction():
        await conn.execute("INSERT INTO drv_posts VALUES ($1, $2, $3)", 2, 1, "kept")
    try:
        async with conn.transaction():
            await conn.execute("INSERT INTO drv_posts VALUES ($1, $2, $3)", 2, 2, "dropped")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    async with conn.transaction():
        await conn.execute("INSERT INTO drv_posts VALUES (2, 3, 'outer')")
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO drv_posts VALUES (2, 4, 'inner')")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    rows = await conn.fetch("SELECT id FROM drv_posts WHERE author_id = 2 ORDER BY id")
    equal([row["id"] for row in rows], [1, 3])


@on_loop("errors")
async def _():
    error = await refused(asyncpg.UniqueViolationError, "23505", conn.execute(INSERT, *AUTHORS[0]))
    equal(error.constraint_name, "drv_authors_pkey")
    await refused(asyncpg.PostgresSyntaxError, "42601", conn.execute("SELEC 1"))
    await refused(asyncpg.UndefinedTableError, "42P01", conn.fetch("SELECT * FROM nowhere_at_all"))
    equal(await conn.fetchval("SELECT 2"), 2)


@on_loop("batch")
async def _():
    await conn.executemany("INSERT INTO drv_posts VALUES ($1, $2, $3)", [(3, i, f"t{i}") for i in range(1, 201)])
    equal(await conn.fetchval("SELECT count(*) FROM drv_posts WHERE author_id = $1", 3), 200)


@on_loop("cursor")
async def _():
    async with conn.transaction():
        ids = [row["id"] async for row in
               conn.cursor("SELECT id FROM drv_posts WHERE author_id = $1 ORDER BY id", 3, prefetch=30)]
    equal(ids, list(range(1, 201)))


@on_loop("copy")
async def _():
    rows = [(i, f"copied {i}", True) for i in range(1000, 1500)]
    equal(await conn.copy_records_to_table("drv_authors", records=rows, columns=["id", "name", "active"]), "COPY 500")
    equal(await conn.fetchval("SELECT name FROM drv_authors WHERE id = $1", 1499), "copied 1499")


loop.run_until_complete(conn.close())
finish()
