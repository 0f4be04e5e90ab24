/* The migrations that are built into the program (generated from migrations/ by embed.cmake). */
#ifndef SY_CATALOG_MIGRATIONS_H
#define SY_CATALOG_MIGRATIONS_H

struct sy_migration {
    unsigned number;  /* 1, 2, 3 ... without gaps */
    const char *name; /* "0001_cluster.sql" */
    const char *sql;
};

extern const struct sy_migration sy_migrations[];
extern const unsigned sy_migration_count;

#endif
