# cluster.sh: PostgreSQL servers for shell-driven tests. Source it, then:
#
#   cluster_init                     a scratch folder $CLUSTER, removed (with its servers stopped) on exit
#   pg_primary NAME                  a primary; its port is in $NAME_PORT
#   pg_replica NAME OF               a streaming replica of primary OF
#   pg_stop NAME [MODE]              MODE: fast (default), immediate
#   router_start CONFIG [ARG ...]    the router; waits until it answers; port in $ROUTER_PORT
#   router_stop                      SIGTERM and wait
#   free_port                        prints a port that was free a moment ago
#
# Servers run as the user postgres (they refuse root) on 127.0.0.1, trust authentication, fsync off. What was started
# is stopped by process id. KEEP=1 keeps the folder; it is kept and named when a test fails.
# shellcheck shell=bash

PG_BIN=${PG_BIN:-/usr/lib/postgresql/15/bin}
SWITCHYARD=${SWITCHYARD:-build/release/switchyard}

say() { echo "${0##*/}: $*"; }
fail() { echo "${0##*/}: $*" >&2; exit 1; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

cluster_init() {
    CLUSTER=$(mktemp -d /tmp/switchyard-test-XXXXXX)
    chmod 755 "$CLUSTER"
    ROUTER_PID=
    PG_NAMES=
    trap cluster_cleanup EXIT
    trap 'exit 130' INT TERM
}

cluster_cleanup() {
    local status=$? name
    router_stop || true
    for name in $PG_NAMES; do pg_stop "$name" immediate || true; done
    if [ "$status" -ne 0 ] || [ -n "${KEEP:-}" ]; then
        echo "${0##*/}: logs and data are kept in $CLUSTER" >&2
    else
        rm -rf "$CLUSTER"
    fi
    exit "$status"
}

# One initdb per run of a test; further servers copy it.
pg_template() {
    [ -d "$CLUSTER/template" ] && return
    mkdir "$CLUSTER/template"
    [ "$(id -u)" != 0 ] || chown postgres "$CLUSTER/template"
    as_postgres "$PG_BIN/initdb" -D "$CLUSTER/template" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
        --no-sync >"$CLUSTER/initdb.log" 2>&1 || fail "initdb failed, see $CLUSTER/initdb.log"
    cat >>"$CLUSTER/template/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
synchronous_commit = on
full_page_writes = off
shared_buffers = 64MB
max_connections = 200
max_prepared_transactions = 50
wal_level = logical
hot_standby_feedback = on
log_line_prefix = '%m %p %a '
timezone = 'UTC'
CONF
}

pg_launch() { # NAME: starts the server in $CLUSTER/NAME on a free port
    local name=$1 port tries
    for tries in 1 2 3; do
        port=$(free_port)
        if as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/$name" -w -t 60 -l "$CLUSTER/$name.log" -o "-p $port ${PG_OPTIONS:-}" \
            start >/dev/null 2>&1; then
            printf -v "${name}_PORT" '%s' "$port"
            PG_NAMES="$PG_NAMES $name"
            return
        fi
    done
    tail -20 "$CLUSTER/$name.log" >&2
    fail "server $name did not start after $tries tries"
}

pg_primary() {
    pg_template
    touch "$CLUSTER/$1.log" && chmod 666 "$CLUSTER/$1.log"
    cp -a "$CLUSTER/template" "$CLUSTER/$1"
    pg_launch "$1"
}

pg_replica() {
    local of_port=$2_PORT
    touch "$CLUSTER/$1.log" && chmod 666 "$CLUSTER/$1.log"
    mkdir -m 700 "$CLUSTER/$1"
    [ "$(id -u)" != 0 ] || chown postgres "$CLUSTER/$1"
    as_postgres "$PG_BIN/pg_basebackup" -h 127.0.0.1 -p "${!of_port}" -U postgres -D "$CLUSTER/$1" -R -X stream \
        -c fast --no-sync >>"$CLUSTER/$1.log" 2>&1 || fail "pg_basebackup failed, see $CLUSTER/$1.log"
    pg_launch "$1"
}

pg_stop() {
    as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/$1" -m "${2:-fast}" -w stop >/dev/null 2>&1
    PG_NAMES=${PG_NAMES/ $1/}
}

router_start() {
    local config=$1 tries
    shift
    ROUTER_PORT=$(free_port)
    "$SWITCHYARD" serve ${config:+-c "$config"} --port "$ROUTER_PORT" --data-dir "$CLUSTER/router" "$@" \
        >"$CLUSTER/router.log" 2>&1 &
    ROUTER_PID=$!
    for tries in $(seq 150); do
        kill -0 "$ROUTER_PID" 2>/dev/null || { cat "$CLUSTER/router.log" >&2; fail "the router stopped at start"; }
        psql -X -q -h 127.0.0.1 -p "$ROUTER_PORT" -U postgres -c 'SHOW VERSION' switchyard >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$CLUSTER/router.log" >&2
    fail "the router does not answer after $((tries / 10)) seconds"
}

router_stop() {
    [ -n "$ROUTER_PID" ] || return 0
    kill -TERM "$ROUTER_PID" 2>/dev/null || true
    wait "$ROUTER_PID" 2>/dev/null
    local status=$?
    ROUTER_PID=
    [ "$status" -eq 0 ] || [ "$status" -eq 143 ] || { echo "the router ended with status $status" >&2; tail -40 "$CLUSTER/router.log" >&2; return 1; }
}
