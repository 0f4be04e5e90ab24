#!/usr/bin/env python3
"""Random statements, each run a second time without the rows that the planner rules out: the answer must be the same.

    PGHOST=... PGPORT=... PGUSER=... soundness.py --program PROGRAM [--seed N] [--count N]

PROGRAM (the build's tests/unit_router_plan_corpus) says which shards a statement's facts leave; it is asked for statements too
that the router would refuse. Prints the seed and a table; exits with 1 if an answer changes. Uses and drops the database
switchyard_keys.
"""
import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile

from keyserver import SHARDS, Server

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from shrink import shrink


class Generator:
    """Conditions on keys in every position of a query. Aliases are a, b, c ...; their tables are of one keyspace or of two."""

    def __init__(self, rng):
        self.rng = rng

    def value(self):
        return str(self.rng.choice([1, 2, 7, 100, 55, 12, 13, 0]))

    def table(self):
        return self.rng.choice(["t_int8", "t_int8", "u_int8", "u_int8", "app.notes", "by_range", "t_int4", "labels"])

    def key(self, table, alias):
        return f"{alias}.{'id' if table == 'labels' else 'k'}"

    def atom(self, names):
        table, alias = self.rng.choice(names)
        key, roll = self.key(table, alias), self.rng.randrange(15)
        if roll < 4:
            return f"{key} = {self.value()}"
        if roll < 6:
            other = self.key(*self.rng.choice(names))
            return f"{key} = {other}"
        if roll == 6:
            return f"{key} IN ({self.value()}, {self.value()}, {self.rng.choice(['NULL', self.value()])})"
        if roll == 7:
            return f"{key} BETWEEN {self.value()} AND {self.value()}"
        if roll == 8:
            return f"({key}, {alias}.{'id' if table == 'labels' else 'v'}) = ({self.value()}, 1)"
        if roll == 9:
            return f"{key} {self.rng.choice(['<', '>=', '<>', 'IS NOT DISTINCT FROM'])} {self.value()}"
        if roll == 10:
            return f"{key} IS {self.rng.choice(['NULL', 'NOT NULL'])}"
        if roll == 11:
            return self.subquery(names)
        if roll == 12:
            return f"{key} = ANY ('{{{self.value()},{self.value()}}}')"
        if roll == 13:
            return self.rng.choice(["true", "false", "NULL", f"{self.value()} = {self.value()}"])
        return f"{alias}.{'id' if table == 'labels' else 'v'} >= {self.rng.randrange(3)}"

    def subquery(self, names):
        inner, (table, alias) = self.table(), self.rng.choice(names)
        name = "z" + str(self.rng.randrange(3))
        where = self.condition(names + [(inner, name)], 1)
        form = self.rng.randrange(4)
        if form == 0:
            return f"EXISTS (SELECT 1 FROM {inner} {name} WHERE {where})"
        if form == 1:
            return f"NOT EXISTS (SELECT 1 FROM {inner} {name} WHERE {where})"
        if form == 2:
            return f"{self.key(table, alias)} IN (SELECT {self.key(inner, name)} FROM {inner} {name} WHERE {where})"
        return f"{self.key(table, alias)} NOT IN (SELECT {self.key(inner, name)} FROM {inner} {name} WHERE {where})"

    def condition(self, names, depth=0):
        roll = self.rng.random()
        if depth > 2 or roll < 0.4:
            return self.atom(names)
        if roll < 0.7:
            return f"({self.condition(names, depth + 1)} AND {self.condition(names, depth + 1)})"
        if roll < 0.9:
            return f"({self.condition(names, depth + 1)} OR {self.condition(names, depth + 1)})"
        return f"NOT ({self.condition(names, depth + 1)})"

    def source(self, names, count):
        """A join tree; adds what it names to `names`."""
        table, alias = self.table(), "abcdef"[len(names)]
        names.append((table, alias))
        text = f"{table} {alias}"
        if self.rng.random() < 0.12 and table != "labels":
            text = f"(SELECT * FROM {table} {alias}i WHERE {self.condition([(table, alias + 'i')])}) {alias}"
        for _ in range(count - 1):
            table, alias = self.table(), "abcdef"[len(names)]
            kind = self.rng.choice(["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
            before = list(names)
            names.append((table, alias))
            if kind == "CROSS JOIN":
                text += f" CROSS JOIN {table} {alias}"
            else:
                on = f"{self.key(*self.rng.choice(before))} = {self.key(table, alias)}"
                if kind != "FULL JOIN" and self.rng.random() < 0.6:
                    on = self.rng.choice([f"{on} AND {self.condition(names)}", self.condition(names)])
                text += f" {kind} {table} {alias} ON {on}"
        return text

    def using(self):
        tables = self.rng.sample(["t_int8", "u_int8", "app.notes"], self.rng.randrange(2, 4))
        text = f"{tables[0]} a"
        for table, alias in zip(tables[1:], "bc"):
            text += f" {self.rng.choice(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'])} {table} {alias} USING (k)"
        names = list(zip(tables, "abc"))
        where = f"{self.condition(names)} AND k {self.rng.choice(['=', '=', '>'])} {self.value()}"
        return f"SELECT k, a.v, b.v FROM {text} WHERE {where}"

    def select(self):
        names = []
        source = self.source(names, self.rng.choice([1, 1, 2, 2, 3]))
        columns = ", ".join(self.key(*name) for name in names)
        if self.rng.random() < 0.2:
            columns = "count(*)"
        elif self.rng.random() < 0.1:
            columns += f", (SELECT count(*) FROM u_int8 z WHERE {self.condition(names + [('u_int8', 'z')], 1)})"
        where = f" WHERE {self.condition(names)}" if self.rng.random() < 0.9 else ""
        return f"SELECT {columns} FROM {source}{where}"

    def write(self):
        names = [("t_int8", "a")]
        more = f" u_int8 b" if self.rng.random() < 0.5 else ""
        if more:
            names.append(("u_int8", "b"))
        if self.rng.random() < 0.5:
            return f"DELETE FROM t_int8 a{' USING' + more if more else ''} WHERE {self.condition(names)}"
        return f"UPDATE t_int8 a SET v = 9{' FROM' + more if more else ''} WHERE {self.condition(names)}"

    def bare(self, inner=False, depth=0):
        """A query of names without their tables. Many mean nothing or two things: the server says so."""
        tables = self.rng.sample(["pa", "pb", "pc", "labels", "pa z", "pb"], self.rng.randrange(1, 3 if inner else 4))
        names = {"pa": ["ak", "av"], "pa z": ["z.ak", "av"], "pb": ["bk", "bv"], "pc": ["ck", "ak"], "labels": ["id"]}
        columns = [name for table in tables for name in names[table]] + (["ak", "bk", "ck"] if inner else [])

        def term():
            roll, column = self.rng.randrange(8), self.rng.choice(columns)
            if roll == 0 and depth < 2:
                return f"{self.rng.choice(['', 'NOT '])}EXISTS ({self.bare(True, depth + 1)})"
            if roll == 1 and depth < 2:
                return f"{column} IN ({self.bare(True, depth + 1)})"
            if roll < 5:
                return f"{column} = {self.rng.choice(columns)}"
            return f"{column} {self.rng.choice(['=', '=', '=', '>='])} {self.value()}"

        source = tables[0]
        for table in tables[1:]:
            kind = self.rng.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", ","])
            on = " AND ".join(term() for _ in range(self.rng.randrange(1, 3)))
            source += f", {table}" if kind == "," else f" {kind} {table} ON {on}"
        where = self.rng.choice([" AND ", " AND ", " OR "]).join(term() for _ in range(self.rng.randrange(1, 4)))
        return f"SELECT {self.rng.choice(columns)} FROM {source} WHERE {where}"

    def statement(self):
        roll = self.rng.random()
        if self.rng.random() < 0.3:
            return self.bare()
        if roll < 0.1:
            return self.write()
        if roll < 0.2:
            return self.using()
        if roll < 0.27:
            return f"{self.select()} {self.rng.choice(['UNION ALL', 'UNION'])} {self.select()}"
        if roll < 0.32:
            return f"WITH s AS ({self.select()}) SELECT count(*) FROM s"
        return self.select()


def ask(program, statements):
    """The shards left for each statement, as the program says."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf8") as file:
        file.write("".join(f"{sql} |  | ?\n" for sql in statements))
        file.flush()
        done = subprocess.run([program], env=dict(os.environ, SY_CORPUS_PRINT="1", SY_CORPUS=file.name), capture_output=True,
                              text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [line.split(" | ")[2] for line in done.stdout.split("\n") if " | " in line]


def changes(server, sql, shards):
    """Whether the answer is another one without the rows of the shards that are not asked. None: the server refuses it."""
    if shards in ("all", "any") or shards.startswith(("refused", "syntax")):
        return False
    keep = set() if shards == "none" else {int(word[1:]) for word in shards.split(" ")}
    writes = sql.startswith(("UPDATE", "DELETE"))
    whole = server.outcome(sql, [], set(), [], writes)
    if isinstance(whole, str):
        return None
    return server.outcome(sql, [], set(range(SHARDS)) - keep, [], writes) != whole


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    server, generator = Server(), Generator(random.Random(options.seed))
    statements = [generator.statement() for _ in range(options.count)]
    counts = collections.Counter()
    for sql, shards in zip(statements, ask(options.program, statements)):
        changed = changes(server, sql, shards)
        narrow = shards not in ("all", "any") and not shards.startswith("refused")
        counts["run"] += 1
        counts["narrowed" if narrow and changed is not None else "error" if changed is None else "not narrowed"] += 1
        if changed:
            counts["different"] += 1
            small = shrink(sql, lambda text: bool(changes(server, text, ask(options.program, [text])[0])), 200)
            print(f"DIFFERENT without other shards than {shards}:\n  {sql}\n  smaller: {small}: {ask(options.program, [small])[0]}")
    print("soundness: " + ", ".join(f"{word} {counts[word]}" for word in ("run", "narrowed", "not narrowed", "error", "different")))
    server.client.close()
    sys.exit(1 if counts["different"] else 0)


main()
