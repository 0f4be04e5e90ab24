"""What is measured: cells (a workload, a mode, a number of clients) run against targets."""
import os
import re
import socket
import statistics
import struct
import subprocess
import time

from . import servers

CLIENTS = (1, 16, 64)
MODES = ("simple", "extended", "prepared")


class Cell:
    """One row of the table."""

    def __init__(self, name, kind, clients=1, mode="simple", needs=(), only=None, **more):
        self.name, self.kind, self.clients, self.mode = name, kind, clients, mode
        self.needs, self.only = set(needs) | ({"prepared"} if mode == "prepared" else set()), only
        self.more = more

    def fits(self, target):
        return not (self.needs & target.lacks) and (self.only is None or re.search(self.only, target.name))


def cells(quick):
    found = []
    for mode in MODES:
        for clients in CLIENTS if not quick else (1, 64):
            found.append(Cell(f"-S {mode} {clients}", "pgbench", clients, mode, args=["-S"]))
    for mode in MODES if not quick else MODES[:1]:
        for clients in CLIENTS if not quick else (16,):
            found.append(Cell(f"TPC-B {mode} {clients}", "pgbench", clients, mode, needs=["tpcb"], args=["-b", "tpcb-like"]))
    found.append(Cell("TPC-B by branch simple 16", "pgbench", 16, only="direct|pgbouncer|switchyard-(io|epoll|hash-1)|by-bid",
                      script="tpcb_bid.sql", by_bid=True))
    found.append(Cell("connect 16", "pgbench", 16, args=["-C", "-S"]))
    found.append(Cell("-S simple 16 TLS", "pgbench", 16, needs=["tls"], args=["-S"], tls=True))
    found.append(Cell("100,000 rows", "pgbench", 1, script="rows.sql"))
    found.append(Cell("COPY out", "copy_out"))
    found.append(Cell("COPY in", "copy_in"))
    for count in (1000, 10000) if not quick else (1000,):
        found.append(Cell(f"{count:,} idle", "idle", 16, needs=["idle"], only="pgbouncer|switchyard", count=count))
    found.append(Cell("1,000 idle TLS", "idle", 16, needs=["idle", "tls"], only="pgbouncer|switchyard", count=1000, tls=True))
    return found


def environment(tls=False):
    return {**os.environ, "PGSSLMODE": "require" if tls else "disable", "PGGSSENCMODE": "disable", "PGUSER": "postgres",
            "PGHOST": "127.0.0.1"}


class Failed(Exception):
    pass


class Unfinished(Failed):
    """Nothing went wrong, but the time was too short on a busy machine."""


def pgbench_command(lab, target, cell, scale):
    command = ["pgbench", "-n", "-p", str(target.port), "-c", str(cell.clients), "-j", "1" if cell.clients == 1 else "2",
               "-M", cell.mode]
    if "script" in cell.more:
        command += ["-f", lab.path(cell.more["script"]), "-D", f"scale={scale}"]
    else:
        command += cell.more["args"]
    return command


def run_pgbench(lab, target, cell, scale, seconds, log=None):
    command = pgbench_command(lab, target, cell, scale) + ["-T", str(seconds)]
    if log:
        command += ["-l", "--log-prefix", log]
    done = subprocess.run(command + [target.database], env=environment(cell.more.get("tls")), capture_output=True,
                          text=True, check=False, timeout=seconds * 10 + 60)
    count = re.search(r"actually processed: (\d+)", done.stdout)
    tps = re.search(r"tps = ([\d.]+)", done.stdout)
    average = re.search(r"latency average = ([\d.]+)", done.stdout)
    if done.returncode == 0 and (not count or not tps or int(count[1]) == 0):
        raise Unfinished(f"no transaction ended in {seconds} s")
    if done.returncode != 0:
        raise Failed((done.stderr.strip().splitlines() or ["pgbench failed"])[-1])
    return int(count[1]), float(tps[1]), float(average[1])


def percentile_99(log):
    folder, prefix = os.path.split(log)
    times = []
    for name in os.listdir(folder):
        if name.startswith(prefix):
            with open(os.path.join(folder, name)) as f:
                times += [int(line.split()[2]) for line in f]
            os.unlink(os.path.join(folder, name))
    return sorted(times)[int(len(times) * 0.99)] / 1000 if times else None


def measure_pgbench(lab, target, cell, scale, seconds):
    pids = target.pids()
    before = servers.cpu_ns(pids)
    log = lab.path("latency") if cell.clients == 1 and "args" in cell.more else None
    count, tps, average = run_pgbench(lab, target, cell, scale, seconds, log)
    result = {"per_s": tps, "ms": average}
    if log:
        result["p99_ms"] = percentile_99(log)
    if pids:
        result["cpu_us"] = (servers.cpu_ns(target.pids()) - before) / 1000 / count
    return result


def psql(target, text, seconds=120):
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-p", str(target.port), target.database],
                          input=text, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          timeout=seconds, check=False)
    if done.returncode != 0:
        raise Failed((done.stderr.strip().splitlines() or ["psql failed"])[-1])


def measure_copy(lab, target, cell, seconds):
    repeat = max(3, int(seconds * 4))
    if cell.kind == "copy_out":
        text = "COPY bench_copy TO STDOUT;\n" * repeat
    else:
        psql(target, "TRUNCATE bench_in")
        text = f"\\copy bench_in from '{lab.path('rows.copy')}'\n" * repeat
    pids = target.pids()
    before, start = servers.cpu_ns(pids), time.monotonic()
    psql(target, text)
    took = time.monotonic() - start
    result = {"per_s": repeat / took, "ms": took * 1000 / repeat}
    if pids:
        result["cpu_us"] = (servers.cpu_ns(target.pids()) - before) / 1000 / repeat
    if cell.kind == "copy_in":
        psql(target, "TRUNCATE bench_in")
    return result


def tls_context():
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def open_client(target, tls):
    s = socket.create_connection(("127.0.0.1", target.port), 30)
    if tls:
        s.sendall(struct.pack("!ii", 8, 80877103))
        if s.recv(1) != b"S":
            raise Failed("the proxy refuses TLS")
        s = tls.wrap_socket(s)
    body = struct.pack("!i", 196608) + b"user\0postgres\0database\0" + target.database.encode() + b"\0\0"
    s.sendall(struct.pack("!i", len(body) + 4) + body)
    got = b""
    while not got.endswith(b"Z\0\0\0\5I"):
        more = s.recv(8192)
        if not more or got[:1] == b"E":
            raise Failed(f"a client was turned away: {(got + more)[:120]!r}")
        got += more
    return s


def measure_idle(lab, target, cell, scale, seconds):
    """Resident memory per idle client, CPU while they idle, and what they add to a transaction of active ones."""
    active = Cell("", "pgbench", cell.clients, args=["-S"])
    alone = measure_pgbench(lab, target, active, scale, seconds)["cpu_us"]
    tls = tls_context() if cell.more.get("tls") else None
    warm = [open_client(target, tls) for _ in range(20)]
    base = servers.rss_kb(target.pids())
    clients = []
    try:
        start = time.monotonic()
        for _ in range(cell.more["count"]):
            clients.append(open_client(target, tls))
        took = time.monotonic() - start
        grown = servers.rss_kb(target.pids()) - base
        before = servers.cpu_ns(target.pids())
        time.sleep(1)
        idle = servers.cpu_ns(target.pids()) - before
        loaded = measure_pgbench(lab, target, active, scale, seconds)
    finally:
        for s in clients + warm:
            s.close()
        time.sleep(0.3)
    return {"per_s": cell.more["count"] / took, "cpu_us": loaded["cpu_us"], "alone_cpu_us": alone,
            "bytes_per_client": grown * 1024 / cell.more["count"], "idle_cpu_us_per_s": idle / 1000}


def measure(lab, target, cell, scale, seconds):
    for _ in range(2):
        try:
            return measure_once(lab, target, cell, scale, seconds)
        except Unfinished:
            seconds *= 2
    return measure_once(lab, target, cell, scale, seconds)


def measure_once(lab, target, cell, scale, seconds):
    if cell.kind == "pgbench":
        return measure_pgbench(lab, target, cell, scale, seconds)
    if cell.kind == "idle":
        return measure_idle(lab, target, cell, scale, seconds)
    return measure_copy(lab, target, cell, seconds)


def system_calls(lab, target, cell, scale):
    """System calls per transaction: counted by perf where it may, else by strace (which slows the proxy)."""
    pids = target.pids()
    if cell.kind != "pgbench" or not pids:
        return None
    output = lab.path("perf.txt")
    perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", output, "-p",
                             ",".join(map(str, pids))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    if perf.poll() is not None:
        return strace_calls(lab, target, cell, scale)
    try:
        count, _, _ = run_pgbench(lab, target, cell, scale, 1)
    finally:
        perf.send_signal(2)
        perf.wait(20)
    with open(output) as f:
        for line in f:
            if "sys_enter" in line and line.split(",")[0].isdigit():
                return int(line.split(",")[0]) / count
    return None


def strace_calls(lab, target, cell, scale):
    output = lab.path("strace.txt")
    arguments = [a for pid in target.pids() for a in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", output] + arguments, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        count, _, _ = run_pgbench(lab, target, cell, scale, 1)
    finally:
        tracer.send_signal(2)
        tracer.wait(20)
    with open(output) as f:
        total = re.search(r"^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s", f.read(), re.M)
    return int(total[1]) / count if total else None


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def spread(values):
    """Largest minus smallest, relative to the median."""
    values = [v for v in values if v is not None]
    middle = median(values)
    return (max(values) - min(values)) / middle if values and middle else None


def allow_many_descriptors():
    """10,000 clients and their proxies: children inherit the limit."""
    import resource
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
