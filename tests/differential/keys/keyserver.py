"""A PostgreSQL with the rows of all shards, where those of any shards can be taken away: each table is a view of one in the
schema `base` that knows the shard of every row."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import keytypes
from client import Client, Failure
from keytypes import TYPES

SHARDS = 16
SPECIAL_TABLES = {
    "app.notes": ("k bigint, v int", "bigint k", [str(n) for n in (1, 2, 7, 100)]),
    "app.t_int8": ("k bigint, v int", "bigint k", [str(n) for n in (1, 2, 7)]),
    # Columns of their own names; ak is the key of one and no key of another.
    "pa": ("ak bigint, av int", "bigint ak", [str(n) for n in (0, 1, 2, 7, 12, 13, 55, 100)]),
    "pb": ("bk bigint, bv int", "bigint bk", [str(n) for n in (0, 1, 2, 7, 12, 13, 55, 100)]),
    "pc": ("ck bigint, ak int", "bigint ck", [str(n) for n in (0, 1, 2, 7, 12, 13, 55, 100)]),
    '"Mixed Case"': ('"Key" bigint, "V" int', 'bigint "Key"', [str(n) for n in (2, 7, 12, 100)]),
}


def own(count):
    """The owner of each bucket, by the rule of sy_bucket_assign()."""
    owner, held = [0] * 4096, [4096]
    for added in range(1, count):
        held.append(0)
        while held[added] < 4096 // (added + 1):
            donor = max(range(added), key=lambda i: (held[i], -i))
            owner[max(i for i in range(4096) if owner[i] == donor)] = added
            held[donor] -= 1
            held[added] += 1
    return owner


class Server:
    def __init__(self):
        port = int(os.environ.get("PGPORT", "5432"))
        admin = Client(port, "postgres")
        admin.simple("DROP DATABASE IF EXISTS switchyard_keys")
        admin.simple("CREATE DATABASE switchyard_keys")
        admin.close()
        self.client = Client(port, "switchyard_keys")
        self.do = self.client.simple
        self.tables = []
        self.do("SET TimeZone = 'UTC'")
        self.do("CREATE SCHEMA base; CREATE SCHEMA app; CREATE TABLE labels (id int, name text)")
        self.do("INSERT INTO labels VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        for name, count in (("own", SHARDS), ("own_eu", 3)):
            self.do(f"CREATE FUNCTION {name}(bigint) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT get_byte('\\x"
                    + "".join(f"{o:02x}" for o in own(count)) + f"'::bytea, ({keytypes.HASH.format('$1')})::int) $$")
        self.do("CREATE FUNCTION removed() RETURNS int[] STABLE LANGUAGE sql AS "
                "$$ SELECT string_to_array(current_setting('keys.removed', true), ',')::int[] $$")
        self.make_tables()

    def table(self, name, columns, shard, rows, unique):
        """A base table that knows the shard of each row, and a view that leaves removed shards out."""
        base = "base." + name.replace('"', "").replace(".", "_").replace(" ", "_").lower()
        names = ", ".join(re.findall(r'(?:^|, )("[^"]*"|\w+) ', columns))
        self.do(f"CREATE TABLE {base} ({columns}, _s int GENERATED ALWAYS AS ({shard}) STORED{unique})")
        self.do(f"CREATE VIEW {name} AS SELECT {names} FROM {base} WHERE _s IS NULL OR NOT _s = ANY (removed())")
        for row in rows:
            self.do(f"INSERT INTO {name} VALUES ({', '.join(row)})")
        self.tables.append((name, base))

    def make_tables(self):
        for t in TYPES:
            values = [t.quoted(v) for v in t.values[:8]]
            shard = f"own({t.hashed})"
            self.table(f"t_{t.name}", f"k {t.sql}, v int, w text", shard, [[v, "1", "'w'"] for v in values], ", PRIMARY KEY (k)")
            self.table(f"u_{t.name}", f"k {t.sql}, id int, v int", shard, [[v, i, "1"] for v in values for i in "12"],
                       ", PRIMARY KEY (k, id)")
        for name, (columns, key, values) in SPECIAL_TABLES.items():
            column = key.split(" ")[1]
            self.table(name, columns, f"own(hashint8extended({column}, {keytypes.SEED}))", [[v, "1"] for v in values], "")
        numbers = [-2147483648, -2000, -5, -1, 0, 1, 5, 50, 99, 100, 101, 105, 150, 199, 200, 205, 250, 251, 299, 5000, 2147483647]
        self.table("by_range", "k int, v int", "CASE WHEN k < 0 THEN 1 WHEN k < 100 THEN 3 WHEN k < 200 THEN 5 ELSE 7 END",
                   [[str(n), "1"] for n in numbers], "")
        instants = ["2000-01-01 00:00:00+00", "2025-12-31 23:59:59+00", "2025-12-31 23:59:59.999999+00", "2026-01-01 00:00:00+00",
                    "2026-01-01 04:30:00+00", "2026-01-01 06:00:00+00", "2026-05-01 00:00:00+00", "2026-06-15 00:00:00+00",
                    "2026-06-30 23:59:59+00", "2026-07-01 00:00:00+00", "2026-07-01 03:00:00+00", "2026-07-01 05:00:00+00",
                    "2027-01-01 00:00:00+00", "infinity", "-infinity"]
        self.table("by_time", "k timestamptz, v int", "CASE WHEN k < '2026-01-01 00:00:00+00' THEN 2 WHEN k < '2026-07-01 00:00:00+00' "
                   "THEN 4 ELSE 6 END", [[f"'{t}'", "1"] for t in instants], "")
        self.table("by_list", "k text, v int", "CASE WHEN k IN ('open', 'paid') THEN 8 WHEN k = 'closed' THEN 9 WHEN k = 'lost' THEN 10 END",
                   [[f"'{s}'", "1"] for s in ("open", "paid", "closed", "lost")], "")
        self.table("people", "id bigint, country text, v int", "CASE WHEN country IN ('DE', 'FR') THEN 11 + own_eu(hashint8extended(id, "
                   f"{keytypes.SEED})) WHEN country = 'US' THEN 14 WHEN country = 'JP' THEN 15 END",
                   [[str(n), f"'{c}'", "1"] for c in ("DE", "FR", "US", "JP") for n in range(1, 9)], "")

    def shard_of(self, t, value):
        # bpchar blanks, rounding and the like are the type's business.
        rows = self.do(f"SELECT own({t.hashed}) FROM (SELECT {t.quoted(value)}::{t.sql} AS k) s").rows
        return int(rows[0][0])

    def shards_where(self, predicate, zone):
        name, condition = predicate.split(": ", 1)
        base = dict(self.tables)[name]
        self.do(f"SET TimeZone = '{zone}'")
        rows = self.do(f"SELECT DISTINCT _s FROM {base} WHERE {condition}").rows
        self.do("SET TimeZone = 'UTC'")
        return {int(row[0]) for row in rows}

    def dump(self, sql):
        named = [base for name, base in self.tables if re.search(r"\b" + re.escape(name.strip('"').split(".")[-1]) + r"\b", sql)]
        return [sorted(self.do(f"SELECT t::text FROM {base} t").rows) for base in named]

    def outcome(self, sql, parameters, removed, settings, writes):
        """The answer, or what is stored afterwards; a Failure's SQLSTATE."""
        self.do("BEGIN")
        try:
            for setting in settings:
                name, value = setting.split("=")
                self.do(f"SET LOCAL {'search_path' if name == 'path' else 'TimeZone'} = {value if name == 'path' else repr(value)}")
            self.do(f"SET LOCAL keys.removed = '{','.join(map(str, sorted(removed)))}'")
            answer = self.client.extended(sql, [p[1] for p in parameters], parameter_formats=[int(p[0]) for p in parameters],
                                          parameter_types=[p[2] for p in parameters])
            return [sorted(answer.rows, key=repr), self.dump(sql) if writes else None]
        except Failure as failure:
            return failure.state + " " + failure.message
        finally:
            self.do("ROLLBACK")
