"""Runs statements against one PostgreSQL and against shards behind the router, and compares. See README.md."""
import argparse
import collections
import random
import struct
import sys

from client import Client, Failure
from corpus import CORPUS
from generate import Generator

FLOATS = {700: 1e-5, 701: 1e-12}
WORDS = ["", "a", "A", "b", "B", "ab", "a b", " a", "Zebra", "zebra", "éclair", "ä", "Z", "_x", "-1", "10", "9", "ß", "日本"]


def quote(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def maybe(rng, value):
    return None if rng.random() < 0.15 else value


def data(rng):
    """INSERT statements, one row each, so that every shard gets its own."""
    authors, posts, values, tags = [], [], [], []
    for i in range(1, 41):
        authors.append([i, rng.choice(WORDS) + str(i % 7), maybe(rng, f"19{rng.randrange(50, 99)}-0{rng.randrange(1, 10)}-11"),
                        maybe(rng, round(rng.uniform(0, 10), 2)), maybe(rng, rng.random() < 0.5), rng.choice(["de", "fr", "g"])])
        for n in range(rng.randrange(0, 9)):
            posts.append([i, n, rng.choice(WORDS), maybe(rng, rng.randrange(-5, 20)), maybe(rng, rng.randrange(1, 6)),
                          maybe(rng, f"2024-0{rng.randrange(1, 9)}-1{rng.randrange(0, 9)} 1{rng.randrange(0, 9)}:00:0{rng.randrange(9)}.{rng.randrange(999)}+0{rng.randrange(4)}")])
    for i in range(1, 6):
        tags.append([i, ["red", "green", "blue", "", "grey"][i - 1]])
    numerics = ["0", "1.5", "-1.25", "123456789012345678901234567890.123", "NaN", "0.0001", "-99999", "10000", "Infinity",
                "9999.9999", "1e-20", "7", "-0.3", "33333333.3"]
    floats = ["0", "2.5", "1.5", "NaN", "Infinity", "-Infinity", "1e300", "1e-10", "3.25", "-7", "123456789"]
    for k in range(1, 181):
        values.append([k, maybe(rng, rng.randrange(-9, 9)), maybe(rng, rng.randrange(-9, 9)),
                       maybe(rng, rng.choice([1, 2, 3, -4, 2 ** 40, -2 ** 40, 9007199254740993])), maybe(rng, rng.choice([1, 2, 3000000000])),
                       maybe(rng, rng.choice(numerics)), maybe(rng, round(rng.uniform(-99, 99), 3)),
                       maybe(rng, rng.choice(floats[:4] + floats[8:])), maybe(rng, rng.choice(floats)),
                       maybe(rng, rng.random() < 0.5), maybe(rng, rng.choice(["2024-01-01", "1999-12-31", "infinity", "-infinity", "0044-03-15 BC", "12024-01-01"])),
                       maybe(rng, rng.choice(["2024-01-01 00:00:00", "1969-12-31 23:59:59.999999", "infinity", "0001-01-01 BC", "2024-01-01 00:00:00.5"])),
                       maybe(rng, rng.choice(["2024-03-31 01:00:00+00", "2024-03-31 02:30:00+01", "1880-01-01 00:00:00+00", "-infinity", "2024-07-01 00:00:00.000001-08"])),
                       maybe(rng, rng.choice(["00:00:00", "23:59:59.999999", "24:00:00", "12:30:00"])),
                       maybe(rng, "%032x" % rng.getrandbits(128)), maybe(rng, "\\x" + rng.choice(["", "00", "ff", "00ff", "616263"])),
                       maybe(rng, rng.choice(WORDS)), maybe(rng, rng.choice(WORDS)), maybe(rng, rng.choice(WORDS)), maybe(rng, rng.choice(["a", "a b", "", "B"])),
                       maybe(rng, f"{rng.randrange(9)} days"), maybe(rng, '{"a": %d}' % rng.randrange(3)), maybe(rng, "{%d}" % rng.randrange(3))])
    for table, rows in (("tags", tags), ("authors", authors), ("posts", posts), ('"values"', values)):
        for row in rows:
            yield f"INSERT INTO {table} VALUES (" + ", ".join(quote(v) for v in row) + ")"


def real(value, form, oid):
    if form == 1:
        return struct.unpack("!f" if oid == 700 else "!d", value)[0]
    return float(value)


def close(a, b, column):
    if a == b or a is None or b is None:
        return a == b
    oid, form = column[1], column[4]
    if oid not in FLOATS:
        return False
    x, y = real(a, form, oid), real(b, form, oid)
    return x == y or (x != x and y != y) or abs(x - y) <= FLOATS[oid] * max(abs(x), abs(y))


def same_rows(one, many):
    return len(one.rows) == len(many.rows) and all(
        all(close(x, y, c) for x, y, c in zip(a, b, one.columns)) for a, b in zip(one.rows, many.rows))


def key(row, columns):
    """For sorting; floats, whose last digits may differ, are rounded."""
    parts = []
    for value, column in zip(row, columns):
        if value is not None and column[1] in FLOATS:
            parts.append((False, b"%.4g" % real(value, column[4], column[1])))
        else:
            parts.append((value is None, value or b""))
    return tuple(parts)


def compare(one, many, ordered):
    """None: equal; else what differs."""
    if one.names() != many.names():
        return f"columns {one.names()} and {many.names()}"
    if one.types() != many.types():
        return f"types {one.types()} and {many.types()}"
    if one.tag != many.tag:
        return f"tags {one.tag} and {many.tag}"
    if not ordered:
        one.rows.sort(key=lambda row: key(row, one.columns))
        many.rows.sort(key=lambda row: key(row, one.columns))
    if not same_rows(one, many):
        return "rows"
    return None


class Runner:
    def __init__(self, options):
        self.options = options
        self.counts, self.reasons = collections.Counter(), collections.Counter()
        self.one = Client(options.one, "one")
        self.many = {name: Client(options.router, name) for name in ("two", "four")}
        self.different = 0

    def load(self, rng):
        for sql in data(rng):
            self.one.simple(sql)
            for client in self.many.values():
                client.simple(sql)

    def ask(self, client, sql, mode, parameters):
        if mode == "simple":
            return client.simple(sql)
        return client.extended(sql, parameters, (1,) if mode == "binary" else ())

    def run(self, sql, ordered, mode="simple", parameters=()):
        try:
            one = self.ask(self.one, sql, mode, parameters)
        except Failure as failure:
            one = failure
        for name, client in self.many.items():
            self.counts["run"] += 1
            try:
                many = self.ask(client, sql, mode, parameters)
            except Failure as failure:
                many = failure
            if isinstance(many, Failure) and many.state == "0A000":
                self.counts["refused"] += 1
                self.reasons[many.message] += 1
                if not many.hint:
                    self.tell(name, sql, mode, "a refusal without a hint", one, many)
                continue
            if isinstance(one, Failure) or isinstance(many, Failure):
                what = None if isinstance(one, Failure) and isinstance(many, Failure) and one.state == many.state \
                    else f"{one.state + ' ' + one.message if isinstance(one, Failure) else 'rows'} and " \
                         f"{many.state + ' ' + many.message if isinstance(many, Failure) else 'rows'}"
            else:
                what = compare(one, many, ordered)
            if what is None:
                self.counts["equal"] += 1
            else:
                self.tell(name, sql, mode, what, one, many, parameters)

    def tell(self, name, sql, mode, what, one, many, parameters=()):
        self.counts["different"] += 1
        if self.counts["different"] > self.options.show:
            return
        print(f"DIFFERENT ({name}, {mode}): {what}\n  {sql}   {list(parameters) or ''}")
        for answer in (one, many):
            if not isinstance(answer, Failure):
                print("   ", answer.rows[:12])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", type=int, required=True)
    parser.add_argument("--router", type=int, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    runner = Runner(options)
    runner.load(random.Random(options.seed))
    for sql, ordered, *rest in CORPUS:
        for mode in ("simple", "text", "binary") if not rest else ("text", "binary"):
            runner.run(sql, ordered, mode, rest[0] if rest else ())
    generator = Generator(random.Random(options.seed + 1))
    for _ in range(options.count):
        sql, ordered, parameters = generator.statement()
        mode = generator.rng.choice(("text", "binary")) if parameters else generator.rng.choice(("simple", "text", "binary"))
        if options.verbose:
            print(sql, parameters)
        runner.run(sql, ordered, mode, parameters)
    for word in ("run", "equal", "refused", "different"):
        print(f"{word:>10} {runner.counts[word]:>7}")
    for reason, count in runner.reasons.most_common(40):
        print(f"  refused {count:>6}  {reason}")
    sys.exit(1 if runner.counts["different"] else 0)


main()
