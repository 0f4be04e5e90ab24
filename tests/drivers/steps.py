"""What the Python programs share: where to connect, the values, and counting steps."""
import datetime
import decimal
import os
import sys
import traceback
import uuid

HOST = os.environ["SY_HOST"]
PORT = int(os.environ["SY_PORT"])
DB = os.environ["SY_DB"]
USER = os.environ["SY_USER"]

UTC = datetime.timezone.utc
AUTHORS = [
    (i, f"Autor {i} – ünï 'q'", datetime.date(1950 + i, 1 + i % 12, 1 + i % 28), decimal.Decimal(i * 37) / 4 % 1000,
     i % 2 == 0, datetime.datetime(2026, 1, 1, 12, i % 60, 5, 123000 + i, UTC), uuid.UUID(int=i * 2**64 + i))
    for i in range(1, 41)
] + [(100, "nulls", None, None, None, None, None)]
AUTHORS = [tuple(decimal.Decimal(v).quantize(decimal.Decimal("0.01")) if isinstance(v, decimal.Decimal) else v for v in a)
           for a in AUTHORS]

passed = failed = 0


def step(name):
    """Decorator: runs the step at once and counts it."""
    def run(function):
        global passed, failed
        try:
            function()
            passed += 1
            print(f"ok   {name}")
        except Exception:
            failed += 1
            print(f"FAIL {name}")
            traceback.print_exc(file=sys.stdout)
    return run


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def raises(classes, sqlstate, function):
    try:
        function()
    except classes as error:
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        equal(state, sqlstate)
        return error
    raise AssertionError(f"no error, wanted {sqlstate}")
