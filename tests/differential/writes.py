"""Writes on one PostgreSQL and through the router: tags, returned rows and what the tables hold afterwards must be equal.

    writes.py --one PORT --router PORT [--shards 1,2,4,7] [--seed N] [--count N]

Random INSERT (of many rows, ON CONFLICT, RETURNING, SELECT), UPDATE, DELETE and transaction control over the tables w_rows
and w_notes (sharded by k) and w_words (reference), in the simple and the extended protocol. What the router refuses
(0A000) is not run on the server, and counted; nothing may be refused on one shard.
"""
import argparse
import random
import sys

from client import Client, Failure

TABLES = ("SELECT k, i, v, w, at IS NULL FROM w_rows ORDER BY k, i", "SELECT k, i, n FROM w_notes ORDER BY k, i, n",
          "SELECT id, name FROM w_words ORDER BY id")


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def key(self):
        return self.rng.randint(1, 12)

    def number(self, most):
        return self.rng.randint(0, most)

    def condition(self):
        return self.rng.choice([
            "", f" WHERE t.k = {self.key()}", f" WHERE t.k IN ({self.key()}, {self.key()})", f" WHERE t.v > {self.number(15)}",
            f" WHERE t.i = {self.number(4)}", " WHERE EXISTS (SELECT FROM w_notes u WHERE u.k = t.k)",
            f" WHERE t.k = {self.key()} OR t.v = {self.number(9)}", " WHERE t.w IN (SELECT name FROM w_words)",
            f" WHERE t.k BETWEEN {self.key()} AND {self.key()} AND t.v IS NOT NULL",
            # The moment of a transaction is that of each server: no finer than that.
            " WHERE t.at <= now() + interval '1 hour'",
            " WHERE NOT EXISTS (SELECT FROM w_notes u WHERE u.k = t.k AND u.i = t.i)"])

    def insert(self):
        rng = self.rng
        rows = ", ".join(
            f"({self.key()}, {self.number(4)}, {rng.choice([str(self.number(20)), 'NULL', 'DEFAULT'])}, "
            f"{rng.choice(['NULL', 'DEFAULT', repr('a'), repr('b'), 'upper(' + repr('x') + ')'])})"
            for _ in range(rng.randint(1, 5)))
        conflict = rng.choice([
            "", " ON CONFLICT DO NOTHING", " ON CONFLICT (k, i) DO UPDATE SET v = excluded.v",
            " ON CONFLICT (k, i) DO UPDATE SET w = t.w || excluded.w, v = DEFAULT WHERE t.v > 3"])
        return f"INSERT INTO w_rows AS t (k, i, v, w) VALUES {rows}{conflict}{rng.choice(['', ' RETURNING k, i, v, w'])}"

    def insert_select(self):
        return self.rng.choice([
            "INSERT INTO w_notes (k, i, n) SELECT k, i, v FROM w_rows t" + self.condition(),
            f"INSERT INTO w_notes (k, i, n) SELECT t.k, max(t.i), count(*) FROM w_rows t{self.condition()} GROUP BY t.k",
            "INSERT INTO w_rows (k, i) SELECT DISTINCT u.k, 9 FROM w_notes u ON CONFLICT DO NOTHING"])

    def update(self):
        rng = self.rng
        value = rng.choice(["v + 1", "DEFAULT", "NULL", "v % 7", "(SELECT count(*) FROM w_words)::int"])
        more = rng.choice(["", ", w = 'z'", ", w = w || v", ", at = now()", ", (w, v) = ('y', 3)" if value is None else ""])
        returning = rng.choice(["", " RETURNING t.k, t.i, t.v, t.w"])
        return f"UPDATE w_rows t SET v = {value}{more}{self.condition()}{returning}"

    def words(self):
        one = self.number(9)
        return self.rng.choice([
            f"INSERT INTO w_words (id, name) VALUES ({one}, '{self.rng.choice('abz')}')",
            f"INSERT INTO w_words VALUES ({one}, 'q', DEFAULT), ({one + 1}, 'y', now()) ON CONFLICT (id) DO UPDATE SET "
            "name = excluded.name RETURNING id, name",
            f"UPDATE w_words SET name = name || 'x' WHERE id < {one}", f"DELETE FROM w_words WHERE id = {one}",
            "UPDATE w_words SET name = left(name, 1), at = now() - interval '1 day' RETURNING id, name"])

    def statement(self):
        rng = self.rng
        choice, key = self.number(13), self.key()
        if choice <= 2:
            return self.insert()
        if choice == 3:
            return "INSERT INTO w_notes (k, i, n) VALUES " + ", ".join(
                f"({self.key()}, {self.number(4)}, {self.number(9)}.5)" for _ in range(rng.randint(1, 4)))
        if choice == 4:
            return self.insert_select()
        if choice <= 6:
            return self.update()
        if choice == 7:
            return "UPDATE w_rows t SET v = v + 1 FROM w_notes u WHERE u.k = t.k AND u.i = t.i"
        if choice == 8:
            return rng.choice([f"DELETE FROM w_rows t{self.condition()} RETURNING t.k, t.i",
                               "DELETE FROM w_notes u USING w_rows t WHERE t.k = u.k AND t.i = u.i"])
        if choice == 9:
            return self.words()
        if choice == 10:
            return f"UPDATE w_rows SET k = {key}, v = 1 WHERE i = {self.number(4)} AND k = {key}"
        if choice == 11:
            return rng.choice(["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s"])
        if choice == 12:
            return f"UPDATE w_rows SET k = {key} WHERE v = {self.number(9)}"
        return f"DELETE FROM w_notes WHERE n > {self.number(8)}"


def ask(client, sql, extended=False):
    """(tag, rows), or (the SQLSTATE, None)."""
    try:
        answer = client.extended(sql) if extended else client.simple(sql)
        return answer.tag, answer.rows
    except Failure as failure:
        return "ERROR " + failure.state, None


def equal(sql, expected, got):
    ordered = "SELECT" not in sql and "INSERT" in sql and "ON CONFLICT" not in sql
    if expected[0] != got[0] or expected[1] is None or got[1] is None or ordered:
        return expected == got
    return sorted(map(str, expected[1])) == sorted(map(str, got[1]))


def copies(many, shards):
    """What each shard has of the reference table."""
    return [ask(many, f"/* switchyard: shard=s{n + 1} */ SELECT id, name, at FROM w_words ORDER BY id")[1] for n in range(shards)]


def run(arguments, shards):
    """How many ran, were refused and differ."""
    maker = Maker(random.Random(arguments.seed * 100 + shards))
    one, many = Client(arguments.one, arguments.database), Client(arguments.router, f"many{shards}")
    ran = refused = different = 0
    for client in one, many:
        for table in "w_rows", "w_notes", "w_words":
            ask(client, f"DELETE FROM {table}")
    for _ in range(arguments.count):
        sql, extended = maker.statement(), maker.rng.random() < 0.4
        got = ask(many, sql, extended)
        ran += 1
        if got[0] == "ERROR 0A000":
            refused += 1
            for client in one, many:
                ask(client, "ROLLBACK")
            continue
        expected = ask(one, sql, extended)
        states = [(ask(one, table), ask(many, table)) for table in TABLES]
        if equal(sql, expected, got) and all(a == b for a, b in states):
            continue
        different += 1
        print(f"DIFFERENT on {shards} shards: {sql}\n  one:  {expected}\n  many: {got}")
        for a, b in states:
            if a != b:
                print(f"  holds: {a}\n  not:   {b}")
        break
    for client in one, many:
        ask(client, "ROLLBACK")
    found = copies(many, shards)
    if any(copy != found[0] for copy in found):
        different += 1
        print(f"DIFFERENT on {shards} shards: copies of w_words: {found}")
    one.close()
    many.close()
    return ran, refused, different


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", type=int, required=True)
    parser.add_argument("--router", type=int, required=True)
    parser.add_argument("--database", default="one")
    parser.add_argument("--shards", default="1,2,4,7")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    failed = False
    print(f"writes, seed {arguments.seed}")
    for shards in map(int, arguments.shards.split(",")):
        ran, refused, different = run(arguments, shards)
        print(f"  {shards} shards: run {ran}, refused {refused}, different {different}")
        failed = failed or different > 0 or (shards == 1 and refused > 0)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
