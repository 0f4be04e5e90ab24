-- What the router remembers of itself: the cluster's name, one row a start, and what happened.
CREATE TABLE cluster (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,              -- 32 hexadecimal digits; part of every global transaction id
    created_us INTEGER NOT NULL    -- microseconds since 1970 UTC, as all times here
) STRICT;

CREATE TABLE incarnations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    started_us INTEGER NOT NULL,
    version TEXT NOT NULL,
    ended_us INTEGER               -- NULL: running, or ended without saying so
) STRICT;

CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,            -- "start", "stop", "reload", "node", "schema"
    subject TEXT NOT NULL,         -- "blog/s0/1"
    what TEXT NOT NULL             -- for people
) STRICT;
CREATE INDEX events_by_time ON events (at_us);
