-- The demo: a read-heavy site about Debian's packages. Works unchanged on PostgreSQL and through Switchyard.
DROP TABLE IF EXISTS dependencies;
DROP TABLE IF EXISTS packages;
DROP TABLE IF EXISTS maintainers;
DROP TABLE IF EXISTS sections;
DROP TABLE IF EXISTS contacts;
DROP TABLE IF EXISTS package_sizes;

-- hash by maintainer: a maintainer and everything of theirs live on one shard
CREATE TABLE maintainers (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    country text NOT NULL
);
CREATE TABLE packages (
    id bigint NOT NULL,
    maintainer_id bigint NOT NULL REFERENCES maintainers (id),
    name text NOT NULL,
    version text NOT NULL,
    section text NOT NULL,
    installed_size bigint NOT NULL,
    description text NOT NULL,
    PRIMARY KEY (maintainer_id, id)
);
CREATE TABLE dependencies (
    package_id bigint NOT NULL,
    maintainer_id bigint NOT NULL,
    depends_on text NOT NULL,
    PRIMARY KEY (maintainer_id, package_id, depends_on)
);
CREATE INDEX packages_name ON packages (name);
-- a copy on every shard
CREATE TABLE sections (
    id bigint PRIMARY KEY,
    name text NOT NULL UNIQUE
);
-- geo by country, then range by size
CREATE TABLE contacts (
    country text NOT NULL,
    maintainer_id bigint NOT NULL,
    email text NOT NULL,
    PRIMARY KEY (country, maintainer_id)
);
CREATE TABLE package_sizes (
    installed_size bigint NOT NULL,
    package_id bigint NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (installed_size, package_id)
);
