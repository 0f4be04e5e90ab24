#!/usr/bin/env python3
"""Makes corpus.txt and schema.txt: statements and the shards that the router asks for each.

    PGHOST=... PGPORT=... PGUSER=... make.py PROGRAM      (PROGRAM: the build's tests/unit_router_plan_corpus)

Which shards matter is not taken from the router: the keys of a statement are known to the template that it is made of, and a
PostgreSQL server hashes them. The same server then checks each statement on a database with all rows: without the rows of
the shards that do not matter the answer (for a write: what is stored afterwards) must be the same, and without those of any
one that does it must be another. Only then PROGRAM says what the router asks; asking fewer shards than matter is an error.
Uses and drops a database named switchyard_keys.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

from keyserver import SHARDS, Server
from keytypes import TYPES
from special import SPECIAL
from templates import JOINED, ONE_TABLE, WRITES

LETTERS = "abcdefghmno"


def parameter(t, text):
    """(binary, value, oid) of a parameter of the templates."""
    if text == "-":
        return (False, None, 0)
    binary = text.startswith("b:") or (text.endswith("!") and not text.startswith("n:"))
    if text[:2] in ("n:", "b:"):
        value, _, oid = text[2:].partition("/")
        return (binary, bytes.fromhex(value) if binary else value, int(oid or 0))
    declared = "/" in text
    if text.startswith("["):
        values = [None if c == "-" else t.values[LETTERS.index(c)] for c in text[1:text.index("]")]]
        return (binary, t.array_binary(values, declared) if binary else t.array_text(values), t.array_oid if declared else 0)
    value = t.values[LETTERS.index(text[0])]
    return (binary, t.binary(value) if binary else value, t.oid if declared else 0)


def parameter_word(p):
    binary, value, oid = p
    word = "NULL" if value is None else "b:" + value.hex() if binary else value
    return word + (f"/{oid}" if oid else "")


def fill(t, sql):
    words = {"T": f"t_{t.name}", "U": f"u_{t.name}", "ty": t.sql}
    for letter, value in zip(LETTERS, t.values):
        words[letter], words["q" + letter] = t.literal(value), t.quoted(value)
    words["Aab"] = t.quoted(t.array_text(t.values[:2]))
    return re.sub(r"\{(\w+)\}", lambda m: words[m.group(1)], sql)


class Maker:
    def __init__(self, server):
        self.server, self.lines, self.complaints, self.checked = server, [], [], 0

    def add(self, sql, parameters, matter, settings=()):
        assert " | " not in sql and "\n" not in sql, sql
        if settings:
            self.lines.append("! " + " ".join(settings))
        self.lines.append(" | ".join([sql, "; ".join(map(parameter_word, parameters)), matter]))

    def check(self, sql, parameters, matter, settings, shows_each):
        """Asks the server whether exactly the rows of `matter` matter."""
        writes = re.match(r"(INSERT|UPDATE|DELETE|WITH .*(INSERT|DELETE))\b", sql) is not None
        everything = set(range(SHARDS))
        whole = self.server.outcome(sql, parameters, set(), settings, writes)
        self.checked += 1
        if isinstance(whole, str):
            self.complaints.append(f"the server: {whole}: {sql}")
        elif self.server.outcome(sql, parameters, everything - matter, settings, writes) != whole:
            self.complaints.append(f"rows of other shards than {sorted(matter)} matter: {sql}")
        elif shows_each:
            for shard in matter:
                if self.server.outcome(sql, parameters, {shard}, settings, False if not writes else True) == whole and \
                        not sql.startswith(("INSERT", "WITH s AS (INSERT")):
                    self.complaints.append(f"rows of shard {shard} do not matter: {sql}")

    def from_template(self, t, sql, parameters, keys):
        sql, parameters = fill(t, sql), [parameter(t, p) for p in parameters]
        if keys.startswith("!") or keys == "?":
            self.add(sql, parameters, "?")
            return
        unchecked, shows_each = keys.startswith("?"), not keys.startswith("~")
        keys = keys.lstrip("?~")
        matter = {self.server.shard_of(t, t.values[LETTERS.index(letter)]) for letter in keys if letter != "*"}
        self.add(sql, parameters, "all" if keys == "*" else words(matter))
        if not unchecked and keys != "*":
            self.check(sql, parameters, matter, (), shows_each)

    def special(self, sql, parameters, predicate, settings=""):
        parameters, settings = [parameter(None, p) for p in parameters], settings.split(" ") if settings else []
        if predicate[0] in "!?" or predicate == "any":
            self.add(sql, parameters, "?", settings)
            return
        zone = "".join(s[3:] for s in settings if s.startswith("tz=")) or "UTC"
        if sql.startswith("INSERT"):
            self.server.do("BEGIN")
            self.server.client.extended(sql, [p[1] for p in parameters])
            matter = self.server.shards_where(predicate, zone)
            self.server.do("ROLLBACK")
        else:
            matter = self.server.shards_where(predicate, zone)
        self.add(sql, parameters, words(matter), settings)
        self.check(sql, parameters, matter, settings, False)


def words(shards):
    return " ".join(f"s{n}" for n in sorted(shards)) or "none"


def write_schema(server):
    """What the router would have read from the server, for the test: the base tables under their own names."""
    rows = server.do("SELECT n.nspname, c.relname, c.relkind = 'v', a.attname, t.typname, t.oid, b.atttypmod, a.attcollation <> 0 "
                     "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
                     "JOIN pg_attribute b ON b.attrelid = a.attrelid AND b.attnum = a.attnum JOIN pg_type t ON t.oid = a.atttypid "
                     "WHERE n.nspname IN ('public', 'app') AND a.attnum > 0 AND c.relkind IN ('r', 'v') "
                     "ORDER BY n.nspname, c.relname, a.attnum").rows
    with open(os.path.join(HERE, "schema.txt"), "w", encoding="utf8") as out:
        out.write("# Made by make.py: schema, table, column, type, its OID, modifier; tab-separated.\n")
        for schema, table, _, column, name, oid, modifier, _ in rows:
            out.write("\t".join(x.decode() for x in (schema, table, column, name, oid, modifier)) + "\n")


def main():
    server = Server()
    maker = Maker(server)
    for t in TYPES:
        for section in (ONE_TABLE, JOINED, WRITES):
            for sql, parameters, keys in section:
                maker.from_template(t, sql, parameters, keys)
    for entry in SPECIAL:
        maker.special(*entry)
    write_schema(server)
    path = os.path.join(HERE, "corpus.txt")
    with open(path, "w", encoding="utf8") as out:
        out.write("# Made by make.py: statement | parameters | shards asked [| shards that matter, when they are fewer]\n")
        out.write("\n".join(maker.lines) + "\n")
    print(f"{sum(not line.startswith('!') for line in maker.lines)} statements, {maker.checked} asked of the server, "
          f"{len(maker.complaints)} complaints")
    for complaint in maker.complaints[:60]:
        print(" ", complaint)
    if len(sys.argv) > 1:
        done = subprocess.run([sys.argv[1]], env=dict(os.environ, SY_CORPUS_PRINT="1", SY_CORPUS=path), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            with open(path, "w", encoding="utf8") as out:
                out.write("".join(line + "\n" for line in done.stdout.split("\n") if " | " in line or line.startswith(("!", "#"))))
        else:
            print(done.stdout[-3000:], done.stderr[-3000:])
    server.client.close()
    sys.exit(1 if maker.complaints else 0)


main()
