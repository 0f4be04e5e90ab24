"""The 22 questions against one PostgreSQL and against shards behind the router. See README.md."""
import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from client import Client, Failure, wait_for_federation
from compare import compare
from data import copy_text
from queries import QUERIES
from rows import rows


def read_expected():
    with open(os.path.join(HERE, "expected"), encoding="utf8") as file:
        return dict(line.split("#")[0].split() for line in file if line.split("#")[0].split())


def ask(client, sql):
    started = time.monotonic()
    try:
        answer = client.simple(sql)
    except Failure as failure:
        answer = failure
    return answer, time.monotonic() - started


def route(client, sql):
    """The router's own words."""
    try:
        words = client.simple("EXPLAIN (ROUTE) " + sql).rows[0][0].decode()
    except Failure as failure:
        return failure.message
    return words.removeprefix("Route: ")


def state(one, many):
    if isinstance(many, Failure) and many.state == "0A000":
        return "refused", many.message if many.hint else "WITHOUT A HINT: " + many.message
    what = compare(one, many, True)
    return ("equal", "") if what is None else ("different", what)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", type=int, required=True)
    parser.add_argument("--router", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1)
    options = parser.parse_args()
    one, many = Client(options.one, "one"), {count: Client(options.router, f"tpch{count}") for count in (1, 2, 4)}
    for table, values in rows(random.Random(options.seed), options.scale).items():
        for client in [one, *many.values()]:
            client.copy(f"COPY {table} FROM STDIN", copy_text(values))
    one.simple("ANALYZE")
    for client in many.values():
        wait_for_federation(client, "SELECT count(*) FROM customer JOIN orders ON o_custkey = c_custkey")
    expected, failed, refused = read_expected(), 0, 0
    print(f"seed {options.seed}, scale {options.scale}\n{'':3} {'rows':>5} {'one':>7}" + "".join(f"{f'{n} shards':>20}" for n in many))
    for number, (title, sql) in enumerate(QUERIES, 1):
        answer, seconds = ask(one, sql)
        if isinstance(answer, Failure):
            sys.exit(f"q{number}: the server: {answer.message}")
        line, notes = f"q{number:02} {len(answer.rows):>5} {seconds:>6.3f}s", []
        for count, client in many.items():
            other, took = ask(client, sql)
            found, why = state(answer, other)
            line += f"{found:>12} {took:>6.3f}s"
            wanted = "equal" if count == 1 else expected[f"q{number:02}"]
            refused += found == "refused" and count == 4
            if found == "different" or (found == "refused" and wanted != "refused") or "WITHOUT A HINT" in why:
                failed += 1
                notes.append(f"FAIL on {count} shards: {found} {why}")
            elif found != wanted:
                notes.append(f"better than expected on {count} shards: {found}")
        print(f"{line}  {title}: {route(many[4], sql)}", flush=True)
        for note in notes:
            print("   ", note)
    print(f"{len(QUERIES)} questions, {refused} refused on 4 shards, {failed} failures")
    sys.exit(1 if failed else 0)


main()
