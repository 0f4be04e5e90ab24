#!/usr/bin/python3
"""Runs the statements of route_cases.txt on one database with all rows, and as planned on three shards.

    PGHOST=... PGPORT=... PGUSER=... route_differential.py [SEED]

Equal answers (as multisets), equal contents after a write, or errors on both sides; else the difference is printed and
the exit status is 1. Creates and drops the databases diff_whole, diff_s0, diff_s1 and diff_s2. The shards of the rows
are computed here again, from the server's own hash functions and the rule of sy_bucket_assign().
"""
import collections
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHARDS = ["diff_s0", "diff_s1", "diff_s2"]
SEED = 8816678312871386365
SCHEMA = """
create table posts(id int8, author_id int8, title text, body text, at timestamptz);
create table authors(id int8, name text, country text, email varchar);
create table comments(id int8, author_id int8, post_id int8, body text);
create table author_stats(author_id int8, n int4); create table triggered(author_id int8, n int4);
create schema app; create table app.notes(author_id int8, note text);
create table sections(id int4, name text); create table countries(code text, name text, added timestamptz);
create table audit(id int8, what text); create table logbook(id int8, what text);
create table nicknames(name text, author_id int8); create table events(at timestamptz, what text);
create table measures(n int4, value float8); create table orders(id int8, status text, total numeric);
create table people(id int8, country text, name text); create table addresses(person_id int8, country text, street text);
create table citizens(id int8, country text, name text); create table passports(citizen_id int8, country text, number text);
create table days(d date, note text); create table codes(code varchar, note text); create table accounts(id uuid, owner text);
create function pure_fn(text) returns text immutable language sql as 'select $1';
create function safe_fn(int8) returns int8 language sql as 'select $1';
create view section_names as select name from sections; create view audit_lines as select what from audit;
"""
WRITTEN = ("posts", "author_stats", "comments", "authors", "orders", "citizens", "measures", "events", "nicknames", "audit")
DUMP = "".join(f"select '{table}', t::text from {table} t;" for table in WRITTEN)


def run(database, sql):
    """Rows and None, or None and the error."""
    done = subprocess.run(["psql", "-d", database, "-At", "-q", "-v", "ON_ERROR_STOP=1"], input=sql,
                          capture_output=True, text=True, check=False)
    return (done.stdout.split("\n")[:-1], None) if done.returncode == 0 else (None, done.stderr)


def must(database, sql):
    rows, error = run(database, sql)
    if error is not None:
        sys.exit(f"{database}: {error}")
    return rows


def assign(count):
    owner, held = [0] * 4096, [4096]
    for added in range(1, count):
        held.append(0)
        while held[added] < 4096 // (added + 1):
            donor = max(range(added), key=lambda i: (held[i], -i))
            owner[max(i for i in range(4096) if owner[i] == donor)] = added
            held[donor] -= 1
            held[added] += 1
    return owner


def hashed(function, cast, values, owner):
    listed = ",".join(f"'{value}'" for value in values)
    rows = must("postgres", f"select (({function}({cast}, {SEED}) & 4095) + 2275) & 4095 "
                            f"from unnest(array[{listed}]) with ordinality u(v, o) order by o")
    return {value: owner[int(bucket)] for value, bucket in zip(values, rows)}


def make_rows(rng):
    """{database: [INSERT ...]}"""
    rows = collections.defaultdict(list)

    def put(shards, table, *values):
        sql = f"insert into {table} values ({','.join(chr(39) + str(v) + chr(39) for v in values)});"
        for database in ["diff_whole"] + [SHARDS[shard] for shard in shards]:
            rows[database].append(sql)

    ids = [str(i) for i in range(-3, 25)]
    names = ["ann", "bob", "cy", "5", "ann ", "x"]
    days = [f"2026-02-{day:02}" for day in range(1, 10)]
    author = hashed("hashint8extended", "v::int8", ids, assign(3))
    citizen = hashed("hashint8extended", "v::int8", ids, assign(2))
    name = hashed("hashtextextended", "v", names, assign(3))
    day = hashed("hashint4extended", "(v::date - date '2000-01-01')", days, assign(3))
    for _ in range(80):
        i = rng.choice(ids)
        put([author[i]], "posts", rng.randint(1, 9), i, rng.choice(["x", "y", "a1", "ann"]), "p",
            rng.choice(["2025-05-05 10:00Z", "2026-05-05 10:00Z"]))
        i = rng.choice(ids)
        put([author[i]], "comments", rng.randint(1, 9), i, rng.randint(1, 9), rng.choice(["p", "q"]))
    for i in ids:
        if rng.random() < 0.7:
            put([author[i]], "authors", i, rng.choice(["x", "y", "ann"]), "DE", "e")
        put([author[i]], "author_stats", i, 1)
        put([author[i]], "app.notes", i, "n")
        put([author[i]], "triggered", i, 1)
    for i in range(1, 7):
        put([0, 1, 2], "sections", i, rng.choice(["x", "y", "z"]))
        put([2], "audit", i, "x")
        put([1], "logbook", i, "y")
    put([0, 1, 2], "countries", "DE", "x", "2020-01-01")
    for value in names:
        put([name[value]], "nicknames", value, rng.choice(ids))
    for value in days:
        put([day[value]], "days", value, "n")
    for at, shard in (("2024-05-05 00:00Z", 0), ("2025-12-31 22:30Z", 0), ("2025-12-31 23:59:59Z", 0),
                      ("2026-01-01 00:00Z", 1), ("2026-01-01 00:30Z", 1), ("2026-12-31 23:00Z", 1)):
        put([shard], "events", at, "w")
    for n in [-1, 0, 99, 100] + list(range(-10, 130, 5)):
        put([0 if n < 0 else 1 if n < 100 else 2], "measures", n, n)
    for i in range(20):
        for table in ("people", "addresses"):
            country = rng.choice(["DE", "FR", "US", "eu"])
            put([1 if country == "US" else 0], table, rng.randint(1, 6), country, "n")
        for table in ("citizens", "passports"):
            country, k = rng.choice(["DE", "FR", "JP", "eu"]), rng.randint(1, 6)
            put([2 if country == "JP" else citizen[str(k)]], table, k, country, "n")
        status = rng.choice(["open", "paid", "closed"])
        put([2 if status == "closed" else 1], "orders", i, status, i)
    return rows


def read_cases():
    """(statement with its parameters put in, zone, plan) of the cases that can be compared."""
    sql = parameters = None
    settings = ""
    for line in open(f"{HERE}/route_cases.txt", encoding="utf-8").read().split("\n"):
        if line.startswith("@"):
            parameters = line[2:]
        elif line.startswith("!"):
            settings = line[2:]
        elif line.startswith("=> "):
            usable = (re.match(r"(SELECT|WITH|TABLE|VALUES|UPDATE|DELETE|INSERT)\b", sql) and ";" not in sql
                      and not line.startswith(("=> refused", "=> router", "=> merge"))
                      and not ("SET author_id" in sql and "concat" in line)
                      and not re.search(r"pg_|information_schema|random|now\(|version|txid|_seq|\$\$|safe_posts", sql)
                      and not re.search(r"temp=|\bone\b|default|noschema|path", settings)
                      and "b:" not in (parameters or ""))
            if usable:
                zone = re.search(r"tz=(\S+)", settings)
                zone = {None: "UTC", "+02": "<+02>-02"}.get(zone and zone[1], zone and zone[1])
                yield fill_in(sql, parameters), zone, line[3:]
            parameters, settings = None, ""
        elif line and not line.startswith("#"):
            sql, parameters, settings = line, None, ""


def fill_in(sql, parameters):
    values = [] if parameters is None else [re.sub(r"/\d+$", "", value) for value in parameters.split(";")]

    def one(match):
        index = int(match[1]) - 1
        if index >= len(values):
            return "NULL::int"
        return "NULL" if values[index] == "NULL" else f"'{values[index]}'"
    return re.sub(r"\$(\d+)", one, sql)


def compare(sql, zone, plan):
    """None, or what differs."""
    shards = [int(shard) for shard in re.findall(r"\bs(\d)\b", plan)]
    writes = re.search(r"\b(UPDATE|DELETE|INSERT)\b", sql) and "FOR UPDATE" not in sql
    if plan.startswith(("any", "all")):
        shards = shards[:1]
    dump = DUMP if writes and not plan.startswith("all") else ""
    zone = f"set timezone='{zone}';"
    expected, whole_error = run("diff_whole", f"{zone}begin;{sql};{dump}rollback;")
    got, error = [], None
    for shard, database in enumerate(SHARDS):
        if shard in shards:
            rows, failed = run(database, f"{zone}begin;{sql};{dump}rollback;")
            error = error or failed
            got += rows or []
        elif dump:
            got += must(database, zone + dump)
    if whole_error or error:
        return None if whole_error and error else f"one fails: {whole_error} {error}"
    return None if sorted(expected) == sorted(got) else f"{sorted(expected)} against {sorted(got)}"


def main():
    rows = make_rows(random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
    for database in ["diff_whole"] + SHARDS:
        must("postgres", f"drop database if exists {database};")
        must("postgres", f"create database {database};")
        must(database, SCHEMA + "begin;" + "".join(rows[database]) + "commit;")
    ran = wrong = 0
    for sql, zone, plan in read_cases():
        difference = compare(sql, zone, plan)
        ran += 1
        if difference is not None:
            wrong += 1
            print(f"{sql}\n  => {plan}\n  {difference[:500]}")
    for database in ["diff_whole"] + SHARDS:
        must("postgres", f"drop database {database};")
    print(f"{ran} statements, {wrong} differ")
    sys.exit(1 if wrong else 0)


main()
