"""Starts PostgreSQL and every proxy on free loopback ports and stops them again by process id."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

PG_BIN = os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
POOL = 64  # server connections of each pooler: as many as the largest number of clients


def die(text):
    sys.exit(f"proxies: {text}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def as_postgres(command):
    return (["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []) + command


def tree(pid):
    """A process and all below it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        found.append(at)
        todo += children.get(at, [])
    return found


def cpu_ns(pids):
    """Nanoseconds on a CPU, user and system, of all threads of these processes."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
        except OSError:
            continue
    return total


def rss_kb(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
        except OSError:
            continue
    return total


class Lab:
    """A scratch folder, the servers in it, and what has to be stopped at the end."""

    def __init__(self, keep=False):
        self.dir = subprocess.run(["mktemp", "-d", "/tmp/switchyard-bench-XXXXXX"], check=True,
                                  capture_output=True, text=True).stdout.strip()
        os.chmod(self.dir, 0o755)
        self.keep = keep
        self.running = []  # (name, Popen, signal)
        self.databases = []  # data folders of PostgreSQL

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def own_folder(self, name):
        path = self.path(name)
        os.mkdir(path, 0o700)
        if os.getuid() == 0:
            shutil.chown(path, "postgres")
        return path

    def stop(self):
        for _, process, number in reversed(self.running):
            if process.poll() is None:
                process.send_signal(number)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    for pid in tree(process.pid):
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
        for data in self.databases:
            subprocess.run(as_postgres([f"{PG_BIN}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"]),
                           capture_output=True, check=False)
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def launch(self, name, command, user=None, stop=signal.SIGTERM, cwd=None):
        log = open(self.path(f"{name}.log"), "w")
        if user == "postgres" and os.getuid() == 0:  # not runuser: it sets limits of its own
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] + command
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   cwd=cwd or self.dir)
        self.running.append((name, process, stop))
        return process

    def wait_port(self, name, process, port):
        for _ in range(150):
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        with open(self.path(f"{name}.log")) as f:
            print(f.read()[-3000:], file=sys.stderr)
        die(f"{name} does not answer on its port")


CONF = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
shared_buffers = 512MB
max_connections = 900
max_prepared_transactions = 900
max_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum = off
ssl = on
ssl_cert_file = '{crt}'
ssl_key_file = '{key}'
ssl_min_protocol_version = 'TLSv1.2'
"""


def make_certificate(lab):
    folder = lab.own_folder("tls")
    crt, key = f"{folder}/server.crt", f"{folder}/server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", crt], check=True, capture_output=True)
    os.chmod(key, 0o600)
    if os.getuid() == 0:
        for path in (crt, key):
            shutil.chown(path, "postgres")
    return crt, key


def start_postgres(lab, name, crt, key):
    data = lab.own_folder(name)
    subprocess.run(as_postgres([f"{PG_BIN}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync",
                                "-E", "UTF8", "--locale=C.UTF-8"]), check=True, capture_output=True, cwd="/")
    with open(f"{data}/postgresql.conf", "a") as f:
        f.write(CONF.format(crt=crt, key=key))
    log = lab.path(f"{name}.log")
    open(log, "w").close()
    os.chmod(log, 0o666)
    for _ in range(3):
        port = free_port()
        done = subprocess.run(as_postgres([f"{PG_BIN}/pg_ctl", "-D", data, "-w", "-l", log, "-o", f"-p {port}", "start"]),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", check=False)
        if done.returncode == 0:
            lab.databases.append(data)
            return port
    die(f"PostgreSQL does not start, see {log}")


class Target:
    """What clients connect to: a name, a port, a database, the process whose CPU counts."""

    def __init__(self, name, port, database="bench", process=None, about="", lacks=()):
        self.name, self.port, self.database, self.process, self.about = name, port, database, process, about
        self.lacks = set(lacks)  # what it cannot do: words of Cell.needs

    def pids(self):
        if self.process is None:
            return []
        return tree(self.process.pid)


def haproxy(lab, pg):
    port = free_port()
    path = lab.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 2000
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen pg
    bind 127.0.0.1:{port}
    server s0 127.0.0.1:{pg}
""")
    process = lab.launch("haproxy", ["haproxy", "-db", "-f", path])
    lab.wait_port("haproxy", process, port)
    return Target("haproxy", port, process=process, about="TCP mode, 1 thread", lacks=("tls", "idle"))


def pgbouncer(lab, pg, crt, key):
    port = free_port()
    users = lab.write("pgbouncer.users", '"postgres" ""\n')
    path = lab.write("pgbouncer.ini", f"""
[databases]
* = host=127.0.0.1 port={pg}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {POOL}
max_client_conn = 12000
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
client_tls_sslmode = allow
client_tls_cert_file = {crt}
client_tls_key_file = {key}
server_tls_sslmode = disable
""")
    process = lab.launch("pgbouncer", ["pgbouncer", path], user="postgres", stop=signal.SIGINT)
    lab.wait_port("pgbouncer", process, port)
    return Target("pgbouncer", port, process=process, about=f"transaction mode, pool {POOL}", lacks=("prepared",))


def pgpool(lab, pg, crt, key):
    port, pcp = free_port(), free_port()
    path = lab.write("pgpool.conf", f"""
backend_clustering_mode = 'streaming_replication'
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{lab.own_folder("pgpool")}'
pcp_listen_addresses = '127.0.0.1'
pcp_port = {pcp}
pcp_socket_dir = '{lab.path("pgpool")}'
backend_hostname0 = '127.0.0.1'
backend_port0 = {pg}
backend_weight0 = 1
backend_flag0 = 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'
num_init_children = 70
max_pool = 1
load_balance_mode = off
connection_cache = on
sr_check_period = 0
health_check_period = 0
enable_pool_hba = off
pool_passwd = ''
log_min_messages = fatal
log_connections = off
pid_file_name = '{lab.path("pgpool")}/pgpool.pid'
logdir = '{lab.path("pgpool")}'
work_dir = '{lab.path("pgpool")}'
ssl = on
ssl_cert = '{crt}'
ssl_key = '{key}'
""")
    process = lab.launch("pgpool", ["pgpool", "-n", "-f", path, "-F", lab.write("pcp.conf", ""),
                                    "-a", lab.write("pool_hba.conf", "")], user="postgres")
    lab.wait_port("pgpool", process, port)
    return Target("pgpool", port, process=process, about="Pgpool-II, 70 children, no balancing", lacks=("idle",))


def relay(lab, pg, loop, build):
    port = free_port()
    name = f"relay-{loop}"
    process = lab.launch(name, [f"{build}/tests/bench/bench_relay", str(port), str(pg), "--loop", loop])
    lab.wait_port(name, process, port)
    return Target(name, port, process=process, about="bare relay on our event loop, no protocol", lacks=("tls", "idle"))


TABLES = ("pgbench_accounts", "pgbench_history", "bench_copy", "bench_in")
SWITCHYARD = """
workers = {workers};
loop = "{loop}";
clients_max = 20000;
login_timeout = "60s";
listen = {{ address = "127.0.0.1"; port = {port}; }};
client_tls = {{ mode = "allow"; cert_file = "{crt}"; key_file = "{key}"; }};
auth = ( {{ address = "127.0.0.1/32"; method = "trust"; }} );
databases = ( {{ name = "{database}"; engine = "postgres";
    pool = {{ mode = "transaction"; size = {pool}; }};
    shards = ( {shards} );
    {placement} }} );
"""


def switchyard(lab, name, about, loop, shards, placement, database, tls, build, workers=1):
    port = free_port()
    nodes = ", ".join(f'{{ name = "s{i}"; nodes = ( {{ conninfo = "host=127.0.0.1 port={p} dbname={database} '
                      f'sslmode=disable"; user = "postgres"; }} ); }}' for i, p in enumerate(shards))
    path = lab.write(f"{name}.conf", SWITCHYARD.format(workers=workers, loop=loop, port=port, crt=tls[0], key=tls[1],
                                                       database=database, pool=POOL, shards=nodes, placement=placement))
    process = lab.launch(name, [f"{build}/switchyard", "serve", "-c", path, "--data-dir", lab.path(f"{name}.data")])
    lab.wait_port(name, process, port)
    wait_query(lab, name, port, database)
    lacks = () if len(shards) == 1 else ("tpcb",)
    return Target(name, port, database=database, process=process, about=about, lacks=lacks)


def wait_query(lab, name, port, database):
    for _ in range(100):
        done = subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c",
                               "SELECT 1", database], capture_output=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    with open(lab.path(f"{name}.log")) as f:
        print(f.read()[-3000:], file=sys.stderr)
    die(f"{name} does not answer queries: {done.stderr.decode()}")


def by_aid():
    tables = ", ".join(f'{{ name = "{t}"; key = "aid"; }}' for t in TABLES)
    return (f'keyspaces = ( {{ name = "accounts"; strategy = "hash"; type = "int4"; tables = ( {tables} ); }} ); '
            'default_placement = "local s0";')


def by_bid():
    tables = ", ".join(f'{{ name = "pgbench_{t}"; key = "bid"; }}' for t in ("accounts", "history", "tellers", "branches"))
    return f'keyspaces = ( {{ name = "branches"; strategy = "hash"; type = "int4"; tables = ( {tables} ); }} );'
