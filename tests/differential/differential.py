"""Runs statements against one PostgreSQL and against shards behind the router, and compares. See README.md."""
import argparse
import collections
import json
import os
import random
import re
import sys

import data
from client import Client, Failure, wait_for_federation
from compare import compare
from corpus import CORPUS
from generate import ZONES, Generator
from shrink import shrink

HERE = os.path.dirname(os.path.abspath(__file__))
# What the embedded engine's schema does not have.
NOT_EMBEDDED = re.compile(r"days|accounts|good_posts|max\(a\)|en-x-icu")
INEXACT = re.compile(r"\bf[48]\b|stddev|variance")
OTHER_PLANS = ["SET enable_hashagg = off", "SET enable_hashjoin = off", "SET enable_indexscan = off", "SET enable_bitmapscan = off"]


class Runner:
    """`one` has all rows; `other` too, stored in another order and planned otherwise: what they disagree about is not
    determined by the statement. `many`: shard count -> the router's database of so many shards."""

    def __init__(self, options):
        self.options = options
        self.embedded = options.engine == "sqlite"
        name = "embedded" if self.embedded else "many"
        self.one, self.other = (Client(options.one, word + "_embedded" * self.embedded) for word in ("one", "other"))
        for sql in OTHER_PLANS:
            self.other.simple(sql)
        self.many = {count: Client(options.router, f"{name}{count}") for count in options.shards}
        self.counts = collections.Counter()
        self.reasons = collections.defaultdict(collections.Counter)
        self.kinds = collections.defaultdict(collections.Counter)

    def load(self, rng):
        for table, rows in data.rows(rng, self.embedded).items():
            for client in [self.one, *self.many.values()]:
                client.copy(f"COPY {table} FROM STDIN", data.copy_text(rows))
            rng.shuffle(rows)
            self.other.copy(f"COPY {table} FROM STDIN", data.copy_text(rows))
        for client in (self.one, self.other):
            client.simple("ANALYZE")
        for client in () if self.embedded else self.many.values():
            wait_for_federation(client, "SELECT count(*) FROM authors a JOIN days d ON d.author_id = a.id")

    def everywhere(self, sql):
        for client in [self.one, self.other, *self.many.values()]:
            client.simple(sql)

    @staticmethod
    def ask(client, sql, mode, parameters):
        try:
            if mode == "simple":
                return client.simple(sql)
            if mode == "cursor":
                return client.cursor(sql)
            if mode == "copy":
                return client.simple(f"COPY ({sql}) TO STDOUT")
            formats = (1,) if mode in ("binary", "binary pages") else ()
            if "pages" in mode:
                return client.pages(sql, parameters, formats)
            return client.extended(sql, parameters, formats)
        except Failure as failure:
            return failure

    def difference(self, count, sql, ordered, mode, parameters, one=None):
        """(what differs or None, refusal or None)."""
        one = one or self.ask(self.one, sql, mode, parameters)
        many = self.ask(self.many[count], sql, mode, parameters)
        if isinstance(many, Failure) and many.state == "0A000" and not (isinstance(one, Failure) and one.state == "0A000"):
            return (None if many.hint else "a refusal without a hint"), many
        return compare(one, many, ordered), None

    def determined(self, sql, ordered, mode, parameters):
        return compare(self.ask(self.one, sql, mode, parameters), self.ask(self.other, sql, mode, parameters), ordered) is None

    def run(self, section, sql, ordered, mode="simple", parameters=(), kind=None):
        if self.embedded and NOT_EMBEDDED.search(sql):
            return
        if mode == "copy" and INEXACT.search(sql):
            return  # lines cannot be compared within rounding
        section = "embedded-" * self.embedded + section
        one = self.ask(self.one, sql, mode, parameters)
        for count in self.many:
            what, refusal = self.difference(count, sql, ordered, mode, parameters, one)
            self.counts[section, count, "run"] += 1
            result = "equal"
            if what is None and refusal is not None:
                result = "refused"
                self.reasons[section][f"{refusal.message} {refusal.detail}".strip()] += 1
                if self.options.refused:
                    print(f"REFUSED ({section}, {count} shards, {mode}): {sql}\n    {refusal.message} {refusal.detail}")
            elif what is not None:
                result = "different" if self.determined(sql, ordered, mode, parameters) else "undetermined"
            self.counts[section, count, result] += 1
            if result == "undetermined" and self.options.refused:
                print(f"UNDETERMINED ({section}, {count} shards, {mode}): {sql}\n    {what}")
            if kind:
                self.kinds[kind][result] += 1
            if result == "different":
                self.tell(section, count, sql, ordered, mode, parameters, what)

    def tell(self, section, count, sql, ordered, mode, parameters, what):
        told = sum(n for (_, _, word), n in self.counts.items() if word == "different")
        if told > self.options.show:
            return

        def fails(text):
            found, _ = self.difference(count, text, ordered, mode, parameters)
            return found is not None and found.split()[0] == what.split()[0] and self.determined(text, ordered, mode, parameters)

        small = shrink(sql, fails) if told <= 5 else sql
        print(f"DIFFERENT ({section}, {count} shards, {mode}): {what}\n  {sql}   {list(parameters) or ''}")
        if small != sql:
            print(f"  smaller: {small}")
        for name, client in (("one", self.one), ("many", self.many[count])):
            answer = self.ask(client, small, mode, parameters)
            print(f"  {name:>5}:", f"{answer.state} {answer.message}" if isinstance(answer, Failure) else answer.rows[:10])

    # ---- the table and the verdict ----

    def table(self):
        words = ("run", "equal", "refused", "undetermined", "different")
        print(f"{'section':<19} {'shards':>6}" + "".join(f"{word:>14}" for word in words))
        for section in dict.fromkeys(s for s, _, _ in self.counts):
            for count in self.many:
                print(f"{section:<19} {count:>6}" + "".join(f"{self.counts[section, count, word]:>14}" for word in words))
        for section, reasons in self.reasons.items():
            for reason, count in reasons.most_common(self.options.reasons):
                print(f"  {section} refused {count:>6}  {reason}")
        if self.options.verbose:
            for kind, results in self.kinds.items():
                print(f"  {kind}: {json.dumps(results)}")

    def verdict(self, expected):
        """Complaints."""
        for section, most in expected.items():
            run = sum(self.counts[section, count, "run"] for count in self.many if count > 1)
            refused = sum(self.counts[section, count, "refused"] for count in self.many if count > 1)
            if run and 100.0 * refused / run > most:
                yield f"{section}: {100.0 * refused / run:.1f} % refused over several shards, expected are at most {most} %"
        for (section, count, word), number in self.counts.items():
            if word == "different" and number:
                yield f"{section}, {count} shards: {number} different"
            if word == "refused" and count == 1 and number and not self.embedded:
                yield f"{section}: {number} refused on one shard"


def read_expected(path):
    with open(path, encoding="utf8") as file:
        lines = [line.split("#")[0].split() for line in file]
    return {words[0]: float(words[1]) for words in lines if words}


def section_of(mode, section):
    return "portals" if "pages" in mode else {"cursor": "cursors", "copy": "copies"}.get(mode, section)


def run_corpus(runner):
    for sql, ordered, *rest in CORPUS:
        for mode in ("simple", "text", "binary", "pages", "cursor", "copy") if not rest else ("text", "binary", "binary pages"):
            runner.run(section_of(mode, "corpus"), sql, ordered, mode, rest[0] if rest else ())


def run_generated(runner, options):
    generator = Generator(random.Random(options.seed + 1))
    for n in range(options.count):
        if n % 40 == 0:
            runner.everywhere(f"SET TimeZone = '{generator.rng.choice(ZONES)}'")
        kind, sql, ordered, parameters = generator.statement()
        modes = ("text", "binary", "binary", "text", "pages") if parameters else \
            ("simple", "text", "binary", "simple", "binary pages", "cursor", "copy")
        mode = generator.rng.choice(modes)
        if options.verbose:
            print(sql, parameters)
        runner.run(section_of(mode, "generated"), sql, ordered, mode, parameters, kind)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", type=int, required=True)
    parser.add_argument("--router", type=int, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--shards", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 7])
    parser.add_argument("--engine", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--expected", default=os.path.join(HERE, "expected"))
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--reasons", type=int, default=25)
    parser.add_argument("--refused", action="store_true", help="print what is refused or undetermined")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    runner = Runner(options)
    runner.load(random.Random(options.seed))
    run_corpus(runner)
    run_generated(runner, options)
    runner.table()
    complaints = list(runner.verdict(read_expected(options.expected)))
    for complaint in complaints:
        print(f"FAIL: {complaint}")
    sys.exit(1 if complaints else 0)


main()
