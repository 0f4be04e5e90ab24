"""A PostgreSQL client of a few lines: simple and extended protocol, text and binary, nothing hidden."""
import socket
import struct
import time


class Failure(Exception):
    def __init__(self, fields):
        super().__init__(fields.get("M", ""))
        self.state, self.message, self.hint = fields.get("C", ""), fields.get("M", ""), fields.get("H", "")
        self.detail = fields.get("D", "")


class Answer:
    def __init__(self):
        self.columns, self.rows, self.tag, self.suspended = None, [], None, False

    def names(self):
        return None if self.columns is None else [c[0] for c in self.columns]

    def types(self):
        return None if self.columns is None else [c[1:4] for c in self.columns]


class Client:
    def __init__(self, port, database, user="postgres"):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 16)
        body = struct.pack("!i", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.finish()

    def close(self):
        self.socket.sendall(self.message(b"X", b""))
        self.socket.close()

    def read(self):
        kind, length = struct.unpack("!ci", self.file.read(5))
        return kind, self.file.read(length - 4)

    @staticmethod
    def message(kind, body):
        return kind + struct.pack("!i", len(body) + 4) + body

    def finish(self, answer_to=b""):
        """Reads up to ReadyForQuery; COPY FROM STDIN is given `answer_to`."""
        answer, failure = Answer(), None
        while True:
            kind, body = self.read()
            if kind == b"T":
                answer.columns = self.columns(body)
            elif kind == b"D":
                answer.rows.append(self.row(body))
            elif kind == b"C":
                answer.tag = body[:-1].decode()
            elif kind == b"s":
                answer.suspended = True
            elif kind == b"d":
                answer.rows.append((body,))
            elif kind == b"G":
                self.socket.sendall(self.message(b"d", answer_to) + self.message(b"c", b""))
            elif kind == b"E":
                fields = {f[:1].decode(): f[1:].decode("utf8", "replace") for f in body.split(b"\0") if f}
                if failure is not None:
                    raise AssertionError(f"two errors for one statement: {failure.message}; {fields.get('M')}")
                failure = Failure(fields)
            elif kind == b"Z":
                if failure is not None:
                    raise failure
                return answer

    @staticmethod
    def columns(body):
        count, at, columns = struct.unpack("!h", body[:2])[0], 2, []
        for _ in range(count):
            end = body.index(b"\0", at)
            _, _, oid, size, modifier, form = struct.unpack("!ihihih", body[end + 1:end + 19])
            columns.append((body[at:end].decode(), oid, size, modifier, form))
            at = end + 19
        return columns

    @staticmethod
    def row(body):
        count, at, values = struct.unpack("!h", body[:2])[0], 2, []
        for _ in range(count):
            length = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            values.append(None if length < 0 else body[at:at + length])
            at += max(length, 0)
        return tuple(values)

    def simple(self, sql):
        self.socket.sendall(self.message(b"Q", sql.encode() + b"\0"))
        return self.finish()

    def copy(self, sql, data):
        self.socket.sendall(self.message(b"Q", sql.encode() + b"\0"))
        return self.finish(data.encode())

    def pages(self, sql, parameters=(), formats=(), size=3):
        """One portal, read a few rows at a time, in one transaction."""
        self.simple("BEGIN")
        try:
            whole = self.extended(sql, parameters, formats, limit=size)
            page = whole
            while page.suspended:
                self.socket.sendall(self.message(b"E", b"\0" + struct.pack("!i", size)) + self.message(b"S", b""))
                page = self.finish()
                whole.rows += page.rows
                if page.suspended and not page.rows:
                    raise AssertionError("a suspended portal without rows")
            whole.tag = None  # that of a portal tells the last page only
            return whole
        finally:
            self.simple("ROLLBACK")

    def cursor(self, sql, size=4):
        """A cursor, fetched a few rows at a time."""
        self.simple("BEGIN")
        try:
            self.simple(f"DECLARE walk CURSOR FOR {sql}")
            whole = page = self.simple(f"FETCH {size} FROM walk")
            while len(page.rows) == size:
                page = self.simple(f"FETCH FORWARD {size} FROM walk")
                whole.rows = whole.rows + page.rows
            whole.tag = None
            return whole
        finally:
            self.simple("ROLLBACK")

    def extended(self, sql, parameters=(), formats=(), describe="P", name="", limit=0,
                 parameter_formats=(), parameter_types=()):
        """One Parse, Bind, Describe, Execute, Sync. formats: of the result, as in Bind."""
        out = self.message(b"P", f"{name}\0{sql}\0".encode() + struct.pack("!h", len(parameter_types))
                           + b"".join(struct.pack("!i", oid) for oid in parameter_types))
        bind = b"\0" + name.encode() + b"\0" + struct.pack("!h", len(parameter_formats))
        bind += b"".join(struct.pack("!h", form) for form in parameter_formats) + struct.pack("!h", len(parameters))
        for value in parameters:
            text = value if value is None or isinstance(value, bytes) else str(value).encode()
            bind += struct.pack("!i", -1) if text is None else struct.pack("!i", len(text)) + text
        bind += struct.pack("!h", len(formats)) + b"".join(struct.pack("!h", f) for f in formats)
        if describe == "S":
            out += self.message(b"D", b"S" + name.encode() + b"\0")
        out += self.message(b"B", bind)
        if describe == "P":
            out += self.message(b"D", b"P\0")
        out += self.message(b"E", b"\0" + struct.pack("!i", limit)) + self.message(b"S", b"")
        self.socket.sendall(out)
        return self.finish()


def wait_for_federation(client, sql, seconds=180):
    """The federating database is built in the background: until it answers this statement, which needs it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client.simple(sql)
        except Failure as failure:
            if time.monotonic() > deadline:
                raise AssertionError(f"no federation after {seconds} s: {failure.message} {failure.detail}") from failure
            time.sleep(0.1)
