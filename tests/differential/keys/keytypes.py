"""Key types: how their values are written, sent and hashed. A value is its text; `a`..`h` of the templates are the first eight."""
import datetime
import struct
import uuid

EPOCH = datetime.datetime(2000, 1, 1)


def micros(text):
    zone = 0
    if text.endswith("+00"):
        text = text[:-3]
    moment = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S")
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) - zone


class Type:
    def __init__(self, name, sql, oid, array_oid, values, pack, hashed, number=False):
        self.name, self.sql, self.oid, self.array_oid, self.values = name, sql, oid, array_oid, values
        self.pack, self.hashed, self.number = pack, hashed, number

    def quoted(self, value):
        return "'" + value.replace("'", "''") + "'"

    def literal(self, value):
        return value if self.number else self.quoted(value)

    def binary(self, value):
        return self.pack(value)

    def array_text(self, values):
        return "{" + ",".join("NULL" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"

    def array_binary(self, values, declared):
        """Of varchar, which has no operators of its own, an array whose type is not declared is one of text."""
        element = 25 if self.oid == 1043 and not declared else self.oid
        out = struct.pack("!iii", 1 if values else 0, int(None in values), element)
        if values:
            out += struct.pack("!ii", len(values), 1)
        for value in values:
            data = None if value is None else self.pack(value)
            out += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
        return out


def integers(size):
    return lambda value: struct.pack("!" + size, int(value))


def text(value):
    return value.encode()


WORDS = ["ann", "bob", "x y", "O'Hara", "日本", "7", "A", "b%", "", "Zoé", "a,b", "q\\w"]
SHORT = ["ann", "bob", "x y", "O'H", "日本", "7", "A", "b%", "c", "Zoé", "a,b", "q\\w"]
HASH = "(({} & 4095) + 2275) & 4095"
SEED = "8816678312871386365"
TYPES = [
    Type("int2", "smallint", 21, 1005, ["1", "2", "7", "100", "32767", "55", "12", "13", "0", "-3", "-32768", "9"], integers("h"),
         f"hashint8extended(k::bigint, {SEED})", True),
    Type("int4", "integer", 23, 1007, ["1", "2", "7", "100", "2147483647", "55", "70000", "13", "0", "-3", "-2147483648", "9"],
         integers("i"), f"hashint8extended(k::bigint, {SEED})", True),
    Type("int8", "bigint", 20, 1016, ["1", "2", "7", "100", "9223372036854775807", "5000000000", "12", "13", "0", "-3",
                                      "-5000000000", "9"], integers("q"), f"hashint8extended(k, {SEED})", True),
    Type("text", "text", 25, 1009, WORDS, text, f"hashtextextended(k, {SEED})"),
    Type("varchar", "varchar(20)", 1043, 1015, WORDS, text, f"hashtextextended(k, {SEED})"),
    Type("bpchar", "char(6)", 1042, 1014, SHORT, text, f"hashbpcharextended(k, {SEED})"),
    Type("uuid", "uuid", 2950, 2951, [str(uuid.UUID(int=n * 0x1234567890abcdef1234567 + 3)) for n in range(12)],
         lambda v: uuid.UUID(v).bytes, f"uuid_hash_extended(k, {SEED})"),
    Type("date", "date", 1082, 1182, [f"20{n:02}-0{n % 9 + 1}-1{n % 10}" for n in range(10, 22)],
         lambda v: struct.pack("!i", (datetime.datetime.strptime(v, "%Y-%m-%d") - EPOCH).days),
         f"hashint4extended(k - date '2000-01-01', {SEED})"),
    Type("timestamp", "timestamp", 1114, 1115, [f"20{n:02}-0{n % 9 + 1}-1{n % 10} 1{n % 10}:00:0{n % 6}" + (".25" if n % 2 else "")
                                                for n in range(10, 22)], lambda v: struct.pack("!q", micros(v)),
         f"timestamp_hash_extended(k, {SEED})"),
    Type("timestamptz", "timestamptz", 1184, 1185, [f"20{n:02}-0{n % 9 + 1}-1{n % 10} 1{n % 10}:00:0{n % 6}+00" for n in range(10, 22)],
         lambda v: struct.pack("!q", micros(v)), f"timestamp_hash_extended(k AT TIME ZONE 'UTC', {SEED})"),
]
