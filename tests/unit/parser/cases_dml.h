/* INSERT, UPDATE, DELETE, MERGE and COPY. A statement and what sy_facts_print() says of it. */
#ifndef SY_TESTS_UNIT_PARSER_CASES_DML_H
#define SY_TESTS_UNIT_PARSER_CASES_DML_H

#include "tests/unit/parser/facts_case.h"

static const struct facts_case dml_cases[] = {
    {"INSERT INTO t VALUES (1, 'a')", "INSERT writes | t0 target t@0 | insert@0 [?0 ?1]"},
    {"INSERT INTO s.t (id, b) VALUES ($1, $2), ($3, $4)",
     "INSERT writes params=4 | t0 target s.t@0 | insert@0 (id,b) [$1 $2] [$3 $4]"},
    {"INSERT INTO t (id) VALUES (-5), (DEFAULT), (NULL), (f(1)), ('7'::int8), (1 + 2)",
     "INSERT writes | t0 target t@0 | fn f/1 | insert@0 (id) [-?0] [DEFAULT] [NULL] [*] [?2::int8] "
     "[*]"},
    {"INSERT INTO t DEFAULT VALUES", "INSERT writes | t0 target t@0 | insert@0 defaults"},
    {"INSERT INTO t (a, b) VALUES (1, 2), (3)",
     "INSERT writes | t0 target t@0 | insert@0 (a,b) [?0 ?1] [?2 *]"},
    {"INSERT INTO t (id, \"B\") SELECT a, b FROM u WHERE id = 1",
     "INSERT writes | s1<0 SELECT where=(= id ?0) | t0 target t@0 | t1 read u@1 | insert@0 (id,B) "
     "select"},
    {"INSERT INTO t TABLE u",
     "INSERT writes | s1<0 SELECT | t0 target t@0 | t1 read u@1 | insert@0 select"},
    {"INSERT INTO t VALUES (1), (2) ORDER BY 1 LIMIT 1",
     "INSERT writes | s1<0 SELECT order limit | t0 target t@0 | insert@0 select"},
    {"INSERT INTO t (id) VALUES ((SELECT max(id) FROM u))",
     "INSERT writes | s1<0 SELECT sublink agg | t0 target t@0 | t1 read u@1 | fn max/1 | insert@0 "
     "(id) [*]"},
    {"INSERT INTO t (id) VALUES (1) ON CONFLICT DO NOTHING",
     "INSERT writes | t0 target t@0 | insert@0 (id) conflict [?0]"},
    {"INSERT INTO t AS x (id, n) VALUES (1, 2) ON CONFLICT (id) WHERE a > 1 DO UPDATE SET n = x.n "
     "+ excluded.n, m = 5 WHERE x.n < 3 RETURNING id, now()",
     "INSERT writes returning | t0 target t x@0 | fn now/0 | insert@0 (id,n) conflict [?0 ?1] | "
     "set@0 n=* | set@0 m=?3"},
    {"INSERT INTO t (id) OVERRIDING SYSTEM VALUE VALUES (1)",
     "INSERT writes override | t0 target t@0 | insert@0 (id) [?0]"},
    {"INSERT INTO t (a[1], b.c) VALUES (1, 2)",
     "INSERT writes | t0 target t@0 | insert@0 (a,b) [?1 ?2]"},
    {"WITH u AS (SELECT 1 AS id) INSERT INTO t SELECT id FROM u",
     "INSERT writes | s1<0 SELECT cte | s2<0 SELECT | t0 target t@0 | insert@0 select"},
    {"WITH u AS (INSERT INTO a (x) VALUES (1) RETURNING x) INSERT INTO b (y) VALUES (2)",
     "INSERT writes | s1<0 INSERT cte | t0 target a@1 | t1 target b@0 | insert@1 (x) [?0] | "
     "insert@0 (y) [?1]"},
    {"WITH u AS (INSERT INTO a (x, y) VALUES (1, 2) RETURNING x) SELECT * FROM u",
     "SELECT writes | s1<0 INSERT cte | t0 target a@1 | insert@1 (x,y) [?0 ?1]"},
    {"WITH t AS (SELECT 1) INSERT INTO t SELECT * FROM t",
     "INSERT writes | s1<0 SELECT cte | s2<0 SELECT | t0 target t@0 | insert@0 select"},
    {"INSERT INTO t (id) VALUES (1) RETURNING (SELECT x FROM u WHERE u.id = t.id)",
     "INSERT writes returning | s1<0 SELECT sublink where=OTHER | t0 target t@0 | t1 read u@1 | "
     "t0.id@0>t1.id@1 | insert@0 (id) [?0]"},
    {"INSERT INTO t SELECT 1 UNION SELECT 2", "INSERT writes | s1<0 SELECT setop | s2<1 SELECT | "
                                              "s3<1 SELECT | t0 target t@0 | insert@0 select"},
    {"INSERT INTO t (id) WITH q AS (SELECT 5) SELECT * FROM q",
     "INSERT writes | s1<0 SELECT | s2<1 SELECT cte | t0 target t@0 | insert@0 (id) select"},
    {"UPDATE t SET a = 1 WHERE id = 2",
     "UPDATE writes | s0 where=(= id ?1) | t0 target t@0 | set@0 a=?0"},
    {"UPDATE t AS x SET a = 1, b = DEFAULT, c = $1, d = now(), id = -3 WHERE x.id = 2",
     "UPDATE writes params=1 | s0 where=(= t0.id ?2) | t0 target t x@0 | fn now/0 | set@0 a=?0 | "
     "set@0 b=DEFAULT | set@0 c=$1 | set@0 d=* | set@0 id=-?1"},
    {"UPDATE t SET (a, b) = (1, $1) WHERE id = 2",
     "UPDATE writes params=1 | s0 where=(= id ?1) | t0 target t@0 | set@0 a=?0 | set@0 b=$1"},
    {"UPDATE t SET (a, b) = ROW(1, 2) WHERE id = 2",
     "UPDATE writes | s0 where=(= id ?2) | t0 target t@0 | set@0 a=?0 | set@0 b=?1"},
    {"UPDATE t SET (a, b) = (SELECT 1, 2 FROM u WHERE u.id = t.id) WHERE id = 2",
     "UPDATE writes | s0 where=(= id ?2) | s1<0 SELECT sublink where=OTHER | t0 target t@0 | t1 "
     "read u@1 | t0.id@0>t1.id@1 | set@0 a=* | set@0 b=*"},
    {"UPDATE t SET arr[1] = 5, c.f = 6 WHERE id = 2",
     "UPDATE writes | s0 where=(= id ?3) | t0 target t@0 | set@0 arr=* | set@0 c=*"},
    {"UPDATE t SET a = u.a FROM u WHERE t.id = u.id AND u.id = 5 RETURNING t.*",
     "UPDATE writes returning | s0 where=(AND (= t1.id ?0) OTHER) | t0 target t@0 | t1 read u@0 | "
     "t0.id@0>t1.id@0 | t1.id@0>t0.id@0 | set@0 a=*"},
    {"UPDATE t SET a = 1 FROM u JOIN v ON u.id = v.id WHERE t.id = v.id",
     "UPDATE writes | s0 where=OTHER | t0 target t@0 | t1 read u@0 | t2 read v@0 | t1.id@0>t2.id@0 "
     "| t2.id@0>t1.id@0 | t0.id@0>t2.id@0 | t2.id@0>t0.id@0 | set@0 a=?0"},
    {"UPDATE t SET a = 1 WHERE CURRENT OF c",
     "UPDATE writes | s0 where=OTHER | t0 target t@0 | set@0 a=?0"},
    {"UPDATE t SET a = 1", "UPDATE writes | t0 target t@0 | set@0 a=?0"},
    {"UPDATE ONLY t SET a = 1 WHERE id IN (SELECT id FROM u)",
     "UPDATE writes | s0 where=OTHER | s1<0 SELECT sublink | t0 target t@0 | t1 read u@1 | "
     "id@1>id@0 | id@0>id@1 | set@0 a=?0"},
    {"WITH x AS (UPDATE t SET id = 9 WHERE id = 1 RETURNING *) SELECT * FROM x",
     "SELECT writes | s1<0 UPDATE cte where=(= id ?1) | t0 target t@1 | set@1 id=?0"},
    {"DELETE FROM t WHERE id = 1", "DELETE writes | s0 where=(= id ?0) | t0 target t@0"},
    {"DELETE FROM t", "DELETE writes | t0 target t@0"},
    {"DELETE FROM s.t AS x USING u WHERE x.id = u.id AND u.id = $1 RETURNING x.id",
     "DELETE writes returning params=1 | s0 where=(AND (= t1.id $1) OTHER) | t0 target s.t x@0 | "
     "t1 read u@0 | t0.id@0>t1.id@0 | t1.id@0>t0.id@0"},
    {"DELETE FROM t USING u LEFT JOIN v ON u.id = v.id WHERE t.id = u.id",
     "DELETE writes | s0 where=OTHER | t0 target t@0 | t1 read u@0 | t2 read v@0 nullable | "
     "t1.id@0>t2.id@0 | t0.id@0>t1.id@0 | t1.id@0>t0.id@0"},
    {"WITH d AS (DELETE FROM t WHERE id = 1 RETURNING *) INSERT INTO u SELECT * FROM d",
     "INSERT writes | s1<0 DELETE cte where=(= id ?0) | s2<0 SELECT | t0 target t@1 | t1 target "
     "u@0 | insert@0 select"},
    {"DELETE FROM t WHERE false", "DELETE writes | s0 where=FALSE | t0 target t@0"},
    {"MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN "
     "INSERT (id, a) VALUES (s.id, 2)",
     "MERGE writes | s0 where=OTHER | t0 target t@0 nullable | t1 read s@0 | t1.id@0>t0.id@0 | "
     "set@0 a=?0 | set@0 id=* | set@0 a=?1"},
    {"MERGE INTO t AS x USING (SELECT 1 AS id) s ON x.id = s.id AND x.id = 5 AND s.y = 2 WHEN "
     "MATCHED AND x.a > 1 THEN DELETE WHEN NOT MATCHED THEN DO NOTHING",
     "MERGE writes | s0 where=(AND (= t0.id ?1) OTHER) | s1<0 SELECT from | t0 target t x@0 "
     "nullable"},
    {"MERGE INTO t USING s ON false WHEN NOT MATCHED THEN INSERT VALUES (1, 2)",
     "MERGE writes | s0 where=OTHER | t0 target t@0 nullable | t1 read s@0 | set@0 =?0 | set@0 "
     "=?1"},
    {"MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
     "MERGE writes | s0 where=OTHER | t0 target t@0 nullable | t1 read s@0 | t1.id@0>t0.id@0"},
    {"COPY t FROM STDIN", "COPY writes | t0 target t@0 | copy text std"},
    {"COPY s.t (a, \"B\") FROM STDIN WITH (FORMAT csv, HEADER match, DELIMITER ';', QUOTE '\"', "
     "ESCAPE '\\', NULL '', ENCODING 'latin1', FORCE_NOT_NULL (a), FREEZE)",
     "COPY writes | t0 target s.t@0 | copy csv std header match delimiter=3b quote=22 escape=5c "
     "null= encoding=latin1 force freeze (a,B)"},
    {"COPY t FROM STDIN WITH CSV HEADER DELIMITER AS '|' NULL AS 'x' QUOTE AS ''''",
     "COPY writes | t0 target t@0 | copy csv std header delimiter=7c quote=27 null=x"},
    {"COPY BINARY t FROM STDIN", "COPY writes | t0 target t@0 | copy binary std"},
    {"COPY t FROM STDIN BINARY", "COPY writes | t0 target t@0 | copy binary std"},
    {"COPY t FROM STDIN (FORMAT binary)", "COPY writes | t0 target t@0 | copy binary std"},
    {"COPY t FROM STDIN DELIMITER E'\\t'",
     "COPY writes | t0 target t@0 | copy text std delimiter=09"},
    {"COPY t FROM '/tmp/x'", "COPY writes | t0 target t@0 | copy text"},
    {"COPY t FROM PROGRAM 'cat'", "COPY writes | t0 target t@0 | copy text"},
    {"COPY t FROM STDIN WHERE a > 5", "COPY writes | t0 target t@0 | copy text std where"},
    {"COPY t TO STDOUT", "COPY | t0 read t@0 | copy text std"},
    {"COPY t (a) TO STDOUT WITH (HEADER false)", "COPY | t0 read t@0 | copy text std (a)"},
    {"COPY (SELECT * FROM t WHERE id = 1) TO STDOUT",
     "COPY | copy text std query | inner { SELECT | s0 where=(= id ?0) | t0 read t@0 }"},
    {"COPY (DELETE FROM t WHERE id = 1 RETURNING *) TO STDOUT (FORMAT csv)",
     "COPY writes | copy csv std query | inner { DELETE writes returning | s0 where=(= id ?0) | t0 "
     "target t@0 }"},
    {"COPY (SELECT '(', \")\" FROM t) TO '/tmp/x'",
     "COPY | copy text query | inner { SELECT | t0 read t@0 }"},
    {"INSERT INTO t VALUES (true, false, NULL, DATE '2026-01-01', $1::uuid, ARRAY[1], ROW(1), "
     "'{}'::jsonb)",
     "INSERT writes params=1 | t0 target t@0 | insert@0 [true false NULL ?0::date $1::uuid * * "
     "?3::jsonb]"},
    {"INSERT INTO t (id) VALUES (1), (2), (3) ON CONFLICT ON CONSTRAINT c DO UPDATE SET (a, b) = "
     "(excluded.a, 5)",
     "INSERT writes | t0 target t@0 | insert@0 (id) conflict [?0] [?1] [?2] | set@0 a=* | set@0 "
     "b=?3"},
    {"UPDATE t SET a = 1 FROM (SELECT id FROM u WHERE id = 2) s WHERE t.id = s.id",
     "UPDATE writes | s0 where=OTHER | s1<0 SELECT from where=(= id ?1) | t0 target t@0 | t1 read "
     "u@1 | set@0 a=?0"},
    {"DELETE FROM t WHERE (t.a, t.id) IN (SELECT a, id FROM u)",
     "DELETE writes | s0 where=OTHER | s1<0 SELECT sublink | t0 target t@0 | t1 read u@1"},
    {"DELETE FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
     "DELETE writes | s0 where=OTHER | s1<0 SELECT sublink where=OTHER | t0 target t@0 | t1 read "
     "u@1 | t0.id@0>t1.id@1"},
    {"COPY t FROM STDIN WITH (FORMAT 'csv', HEADER 'true')",
     "COPY writes | t0 target t@0 | copy csv std header"},
    {"COPY t FROM STDIN WITH (HEADER 1, FORCE_NULL (a))",
     "COPY writes | t0 target t@0 | copy text std header force"},
    {"DELETE FROM c USING d JOIN a ON d.k = a.id AND id > 0 WHERE d.x >= 0",
     "DELETE writes | s0 where=(AND (>= t1.x ?1) OTHER) | t0 target c@0 | t1 read d@0 | t2 read "
     "a@0 | t1.k@0>t2.id@0 | t2.id@0>t1.k@0"},
};

#endif
