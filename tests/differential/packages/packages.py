"""Real rows against one PostgreSQL and against shards behind the router. See README.md."""
import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from client import Client, Failure, wait_for_federation
from compare import compare
from statements import STATEMENTS

TABLES = ["sections", "maintainers", "packages", "dependencies", "contacts", "package_sizes"]


def ask(client, sql):
    try:
        return client.simple(sql)
    except Failure as failure:
        return failure


def load(client, folder):
    """Seconds."""
    started = time.monotonic()
    for table in TABLES:
        with open(os.path.join(folder, table + ".tsv"), encoding="utf8") as file:
            client.copy(f"COPY {table} FROM STDIN", file.read())
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", type=int, required=True)
    parser.add_argument("--router", type=int, required=True)
    parser.add_argument("--rows", required=True, help="folder of packaging/demo/extract")
    options = parser.parse_args()
    one = Client(options.one, "one")
    many = {count: Client(options.router, f"packages{count}") for count in (1, 2, 4, 7)}
    print(f"loaded: one {load(one, options.rows):.1f} s", end="")
    for count, client in many.items():
        print(f", {count} shards {load(client, options.rows):.1f} s", end="", flush=True)
    print()
    one.simple("ANALYZE")
    for client in many.values():
        wait_for_federation(client, "SELECT max(s) FROM (SELECT section AS s, count(*) FROM packages GROUP BY section) x")
    failed = refused = run = 0
    for sql, ordered in STATEMENTS:
        answer = ask(one, sql)
        if isinstance(answer, Failure):
            sys.exit(f"the server: {answer.message}: {sql}")
        for count, client in many.items():
            started = time.monotonic()
            other = ask(client, sql)
            took = time.monotonic() - started
            run += 1
            if took > 5:
                print(f"slow ({count} shards): {took:.1f} s: {sql}", flush=True)
            if isinstance(other, Failure) and other.state == "0A000" and other.hint and count > 1:
                refused += 1
                print(f"refused ({count} shards): {other.message} {other.detail}\n    {sql}")
                continue
            what = compare(answer, other, ordered)
            if what is not None:
                failed += 1
                print(f"DIFFERENT ({count} shards): {what}\n    {sql}")
    print(f"{run} run, {run - refused - failed} equal, {refused} refused, {failed} different")
    sys.exit(1 if failed or refused else 0)


main()
