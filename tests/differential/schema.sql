-- Embedded databases get what stands above "PostgreSQL only", without collations of ICU and arrays (schema_embedded).
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
    title text NOT NULL COLLATE "en-x-icu",
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
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL COLLATE "de-x-icu", since date);
CREATE TABLE "values" (
    k bigint PRIMARY KEY,
    i2 smallint, i4 integer, i8 bigint, o oid,
    n numeric, n2 numeric(12,3), f4 real, f8 double precision,
    b boolean, d date, ts timestamp, tz timestamptz, tm time,
    u uuid, y bytea, t text, tc text COLLATE "C", v varchar(20), c char(8),
    e interval, j jsonb, a integer[]
);
-- PostgreSQL only.
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
-- Two more keyspaces: text by hash, dates by range.
CREATE TABLE accounts (owner text PRIMARY KEY, author_id bigint, balance numeric, opened timestamptz);
CREATE TABLE days (d date NOT NULL, n integer NOT NULL, author_id bigint, amount numeric(12,2), note text COLLATE nocase,
    PRIMARY KEY (d, n));
-- Written by writes.py.
CREATE TABLE w_rows (k bigint, i integer, v integer DEFAULT 7, w text DEFAULT 'dflt', at timestamptz DEFAULT now(),
    PRIMARY KEY (k, i));
CREATE TABLE w_notes (k bigint, i integer, n numeric);
CREATE TABLE w_words (id integer PRIMARY KEY, name text, at timestamptz DEFAULT now());
CREATE VIEW good_posts AS SELECT author_id, id, title, score FROM posts WHERE score > 3;
