-- What the embedded engine has of schema.sql: text in the collation C, no arrays.
CREATE TABLE authors (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    born date,
    rating numeric(8,2),
    active boolean,
    country char(2)
);
CREATE TABLE posts (
    author_id bigint NOT NULL,
    id integer NOT NULL,
    title text NOT NULL,
    score integer,
    tag_id integer,
    written timestamptz,
    PRIMARY KEY (author_id, id)
);
CREATE TABLE comments (
    author_id bigint NOT NULL,
    post_id integer NOT NULL,
    id integer NOT NULL,
    by_author bigint,
    likes smallint,
    price numeric(10,4),
    at timestamptz NOT NULL,
    body text,
    PRIMARY KEY (author_id, post_id, id)
);
CREATE TABLE tags (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL, since date);
CREATE TABLE "values" (
    k bigint PRIMARY KEY,
    i2 smallint, i4 integer, i8 bigint, o oid,
    n numeric, n2 numeric(12,3), f4 real, f8 double precision,
    b boolean, d date, ts timestamp, tz timestamptz, tm time,
    u uuid, y bytea, t text, tc text COLLATE "C", v varchar(20), c char(8),
    e interval, j jsonb
);
