DROP TABLE IF EXISTS drv_posts;
DROP TABLE IF EXISTS drv_authors;
DROP TABLE IF EXISTS drv_tags;
CREATE TABLE drv_authors (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    born date,
    rating numeric(8,2),
    active boolean,
    created timestamptz,
    token uuid
);
CREATE TABLE drv_posts (
    author_id bigint NOT NULL REFERENCES drv_authors (id),
    id bigint NOT NULL,
    title text NOT NULL,
    PRIMARY KEY (author_id, id)
);
CREATE INDEX drv_posts_title ON drv_posts (title);
CREATE TABLE drv_tags (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);
