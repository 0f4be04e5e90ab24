"""Are two answers the same one?"""
import struct

from client import Failure

NUMERIC = 1700
FLOATS = {700: 1e-5, 701: 1e-12}


def real(value, form, oid):
    if form == 1:
        return struct.unpack("!f" if oid == 700 else "!d", value)[0]
    return float(value)


def close(a, b, column):
    if a == b or a is None or b is None:
        return a == b
    oid, form = column[1], column[4]
    if oid == NUMERIC and form == 1 and a[4] >= 0xc0 and a[4:6] == b[4:6]:  # NaN and infinities have no digits to show
        return True
    if oid not in FLOATS:
        return False
    x, y = real(a, form, oid), real(b, form, oid)
    return x == y or (x != x and y != y) or abs(x - y) <= FLOATS[oid] * max(abs(x), abs(y))


def same_rows(one, many):
    return len(one.rows) == len(many.rows) and all(
        len(a) == len(b) and all(close(x, y, column) for x, y, column in zip(a, b, one.columns))
        for a, b in zip(one.rows, many.rows))


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
    if isinstance(one, Failure) or isinstance(many, Failure):
        if isinstance(one, Failure) and isinstance(many, Failure) and one.state == many.state:
            return None
        words = [f"{a.state} {a.message}" if isinstance(a, Failure) else "rows" for a in (one, many)]
        return f"{words[0]} and {words[1]}"
    if one.names() != many.names():
        return f"columns {one.names()} and {many.names()}"
    if one.types() != many.types():
        return f"types {one.types()} and {many.types()}"
    if one.tag != many.tag:
        return f"tags {one.tag} and {many.tag}"
    if one.columns is None:  # COPY: lines
        lines = [answer.rows if ordered else sorted(answer.rows) for answer in (one, many)]
        return None if lines[0] == lines[1] else "lines"
    if not ordered:
        one.rows.sort(key=lambda row: key(row, one.columns))
        many.rows.sort(key=lambda row: key(row, one.columns))
    return None if same_rows(one, many) else "rows"
