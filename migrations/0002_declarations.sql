-- What admins declared while the router ran (docs/adr/0006): one row for each keyspace and table.
CREATE TABLE declarations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    database TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('keyspace', 'table')),
    schema TEXT NOT NULL,          -- '' for keyspaces
    name TEXT NOT NULL,
    statement TEXT NOT NULL,       -- as config/declaration.h writes it; read again at every start
    declared_us INTEGER NOT NULL,
    UNIQUE (database, kind, schema, name)
) STRICT;
