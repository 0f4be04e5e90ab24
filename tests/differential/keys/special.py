"""Statements over keyspaces by range, list and region, and about names. (SQL, parameters, predicate[, settings]): the
shards that matter are those of the rows of the first table named in the predicate ("TABLE: condition"), which the server finds."""
RANGES = ["k = 0", "k = -1", "k < 0", "k <= 0", "k > 100", "k >= 100", "k < 100", "k <= 99", "k BETWEEN 0 AND 99", "k BETWEEN 50 AND 150",
          "k >= 50 AND k < 200", "k > 199", "k < -1000 OR k > 250", "k = 50 OR k BETWEEN 200 AND 299", "0 > k", "100 <= k AND 199 >= k",
          "k IN (5, 105, 205)", "k > 10 AND k < 5", "k BETWEEN 150 AND 50", "NOT k < 100", "k <> 5", "k + 0 < 100", "k < NULL",
          "k BETWEEN SYMMETRIC 150 AND 50", "k NOT BETWEEN 0 AND 250", "k = ANY ('{1,101}')", "k > ANY ('{150,250}')", "k::text = '5'",
          "k < 100 AND v = 1", "k >= 200 OR false", "k < 100.0", "k < 99.5", "k >= '100'", "k < 100::int2", "(k, v) >= (100, 1)",
          "k > -2147483648", "k = 2147483647", "k IS NOT NULL", "k < 0 AND k > 250", "k IS NULL"]
INSTANTS = ["k = '2025-12-31 23:59:59+00'", "k = '2026-01-01 00:00:00+00'", "k < '2026-01-01'", "k <= '2026-01-01'", "k >= '2026-01-01'",
            "k > '2025-12-31 23:59:59.999999+00'", "k BETWEEN '2026-03-01' AND '2026-09-01'", "k < '2026-01-01 01:00:00+02'",
            "k >= '2026-06-01 00:00:00 UTC' AND k < '2026-07-01 00:00:00 UTC'", "k < DATE '2026-01-01'", "k >= TIMESTAMP '2026-07-01 00:00:00'",
            "k = TIMESTAMPTZ '2026-07-01 00:00:00+00'", "k > 'infinity'", "k < '-infinity'", "k > '-infinity'", "k < 'infinity'",
            "k IN ('2025-12-31 23:59:59+00', '2026-07-01 00:00:00+00')", "k >= '2026-01-01'::date", "k < '2026-07-01'::timestamptz"]
STATES = ["k = 'open'", "k = 'closed'", "k IN ('open', 'paid')", "k = 'nowhere'", "k = 'open' OR k = 'lost'", "k <> 'open'", "k > 'o'",
          "k = 'open ' ", "k = 'OPEN'", "k LIKE 'open'", "k IN ('closed', 'nowhere')", "k = ANY ('{paid,closed}')", "k IS NULL",
          "k = 'open'::varchar", "k = 'paid' AND v = 1", "k BETWEEN 'open' AND 'open'", "k IN ('nowhere')", "NOT k = 'open'"]
PEOPLE = ["country = 'DE'", "country = 'FR'", "country = 'US'", "country = 'JP'", "country IN ('DE', 'US')", "country = 'de'",
          "country = 'DE' AND id = 3", "country = 'FR' AND id IN (1, 2)", "id = 3", "country = 'JP' AND id = 4",
          "country = 'DE' OR (country = 'US' AND id = 1)", "country = 'DE' AND country = 'US'", "country <> 'US'", "country = 'BR'",
          "(country, id) = ('DE', 5)", "country = 'DE' AND (id = 1 OR id = 2)", "country = ANY ('{DE,FR}') AND id = 2"]
SPECIAL = [(f"SELECT v FROM by_range WHERE {c}", [], f"by_range: {c}") for c in RANGES]
SPECIAL += [(f"SELECT count(*), sum(v) FROM by_range WHERE {c}", [], f"by_range: {c}") for c in RANGES[:12]]
SPECIAL += [(f"UPDATE by_range SET v = 2 WHERE {c}", [], f"by_range: {c}") for c in RANGES[:9]]
SPECIAL += [(f"DELETE FROM by_range WHERE {c}", [], f"by_range: {c}") for c in RANGES[9:16]]
SPECIAL += [(f"SELECT v FROM by_time WHERE {c}", [], f"by_time: {c}") for c in INSTANTS]
SPECIAL += [(f"SELECT v FROM by_time WHERE {c}", [], f"by_time: {c}", "tz=America/New_York") for c in INSTANTS]
SPECIAL += [(f"SELECT v FROM by_list WHERE {c}", [], f"by_list: {c}") for c in STATES]
SPECIAL += [(f"DELETE FROM by_list WHERE {c}", [], f"by_list: {c}") for c in STATES[:6]]
SPECIAL += [(f"SELECT v FROM people WHERE {c}", [], f"people: {c}") for c in PEOPLE]
SPECIAL += [(f"UPDATE people SET v = 3 WHERE {c}", [], f"people: {c}") for c in PEOPLE[:9]]
SPECIAL += [
    ("SELECT v FROM by_range WHERE k < $1", ["n:100"], "by_range: k < 100"),
    ("SELECT v FROM by_range WHERE k >= $1 AND k < $2", ["n:100", "n:200"], "by_range: k >= 100 AND k < 200"),
    ("SELECT v FROM by_range WHERE k BETWEEN $1 AND $2", ["b:00000064/23", "b:000000c7/23"], "by_range: k BETWEEN 100 AND 199"),
    ("SELECT v FROM by_range WHERE k > $1", ["-"], "by_range: false"),
    ("SELECT v FROM by_range WHERE k = $1 OR k > $2", ["n:5", "n:250"], "by_range: k = 5 OR k > 250"),
    ("SELECT v FROM by_time WHERE k < $1", ["n:2026-01-01 00:00:00+00"], "by_time: k < '2026-01-01 00:00:00+00'"),
    ("SELECT v FROM by_list WHERE k = $1", ["n:paid"], "by_list: k = 'paid'"),
    ("SELECT v FROM people WHERE country = $1 AND id = $2", ["n:DE", "n:3"], "people: country = 'DE' AND id = 3"),
    ("SELECT r.v FROM by_range r JOIN by_list l ON l.k = 'open' WHERE r.k < 0", [], "?"),
    ("INSERT INTO by_range VALUES (150, 9)", [], "by_range: k = 150"),
    ("INSERT INTO by_range VALUES ($1, 9)", ["n:-5"], "by_range: k = -5"),
    ("INSERT INTO by_list VALUES ('nowhere', 9)", [], "!23514"),
    ("INSERT INTO by_list VALUES ('lost', 9)", [], "by_list: k = 'lost'"),
    ("INSERT INTO people (v, id, country) VALUES (9, 3, 'DE')", [], "people: country = 'DE' AND id = 3"),
    ("INSERT INTO people (country, id) VALUES ('BR', 3)", [], "!23514"),
    # ---- names ----
    ("SELECT v FROM t_int8 WHERE k = 7", [], "t_int8: k = 7", "path=public"),
    ("SELECT v FROM notes WHERE k = 7", [], "app.notes: k = 7", "path=app,public"),
    ("SELECT v FROM t_int8 WHERE k = 7", [], "app.t_int8: k = 7", "path=app,public"),
    ("SELECT v FROM public.t_int8 WHERE k = 7", [], "t_int8: k = 7", "path=app,public"),
    ("SELECT v FROM app.notes WHERE k = 2", [], "app.notes: k = 2"),
    ("SELECT n.v FROM app.notes n JOIN t_int8 t ON t.k = n.k WHERE t.k = 2", [], "app.notes: k = 2"),
    ("SELECT app.notes.v FROM app.notes WHERE app.notes.k = 2", [], "app.notes: k = 2"),
    ("SELECT public.t_int8.v FROM public.t_int8 WHERE public.t_int8.k = 100", [], "t_int8: k = 100"),
    ('SELECT "V" FROM "Mixed Case" WHERE "Key" = 12', [], '"Mixed Case": "Key" = 12'),
    ('SELECT m."V" FROM "Mixed Case" m JOIN t_int8 t ON t.k = m."Key" AND t.k = 2', [], '"Mixed Case": "Key" = 2'),
    ('INSERT INTO "Mixed Case" ("V", "Key") VALUES (1, 77)', [], '"Mixed Case": "Key" = 77'),
    ('UPDATE "Mixed Case" SET "V" = 4 WHERE "Mixed Case"."Key" = 100', [], '"Mixed Case": "Key" = 100'),
    ("SELECT V FROM T_INT8 WHERE K = 7", [], "t_int8: k = 7"),
    ("SELECT name FROM labels WHERE id = 1", [], "any"),
    ("SELECT v FROM t_int8 x(k, v) WHERE x.k = 7", [], "t_int8: k = 7"),
    ("SELECT x.a FROM t_int8 x(b, a) WHERE x.b = 7", [], "t_int8: k = 7"),
    ("SELECT x.k FROM t_int8 x(v, k) WHERE x.v = 7", [], "t_int8: k = 7"),
    ("SELECT x.v FROM t_int8 x(v, k) WHERE x.k = 1", [], "t_int8: true"),
    ("SELECT x.id FROM (SELECT v AS k, k AS id FROM t_int8) x WHERE x.k = 1", [], "t_int8: true"),
    ("SELECT s.v FROM (SELECT v, k FROM t_int8 ORDER BY k LIMIT 2) s WHERE s.k = 2", [], "t_int8: true"),
    ("SELECT k FROM (SELECT v AS k FROM t_int8 WHERE k = 7) s WHERE k = 1", [], "t_int8: k = 7"),
    # ---- integers in other clothes ----
    ("SELECT v FROM t_int8 WHERE k = 7::int2", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = 7.0", [], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = 7.5", [], "t_int8: false"), ("SELECT v FROM t_int8 WHERE k = 0x7", [], "!"),
    ("SELECT v FROM t_int8 WHERE k = -(-7)", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = +7", [], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = 3 + 4", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = '7'::text::int8", [], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = abs(-7)", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = 5000000000", [], "t_int8: k = 5000000000"),
    ("SELECT v FROM t_int2 WHERE k = 100000", [], "t_int2: false"), ("SELECT v FROM t_int4 WHERE k = 5000000000", [], "t_int4: false"),
    ("SELECT v FROM t_int8 WHERE k = 7::numeric(4, 1)", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = 6.96::numeric(4, 1)", [], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = 7::float8", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k - 1 = 6", [], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = 7 # 0", [], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = (7, 7)", [], "!"),
    ("SELECT v FROM t_int8 WHERE k = true::int", [], "t_int8: k = 1"), ("SELECT v FROM t_int8 WHERE k OPERATOR(pg_catalog.=) 7", [], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = $1", ["b:0007/21"], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = $1", ["b:00000007/23"], "t_int8: k = 7"),
    ("SELECT v FROM t_int4 WHERE k = $1", ["b:0000000000000007/20"], "t_int4: k = 7"), ("SELECT v FROM t_int2 WHERE k = $1", ["n:7/20"], "t_int2: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = $1", ["n:7.0/1700"], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = $1", ["n: 7 "], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = $1::text::int8", ["n:7"], "t_int8: k = 7"), ("SELECT v FROM t_int8 WHERE k = $1::int", ["n:7"], "t_int8: k = 7"),
    ("SELECT v FROM t_int8 WHERE k = $1 AND v = $1", ["n:1"], "t_int8: k = 1"), ("SELECT v FROM t_int4 WHERE k = $1 AND v::int8 = $1::int8", ["n:1"], "t_int4: k = 1"),
    # ---- text in other clothes ----
    ("SELECT v FROM t_text WHERE k = E'ann'", [], "t_text: k = 'ann'"), ("SELECT v FROM t_text WHERE k = E'\\x61nn'", [], "t_text: k = 'ann'"),
    ("SELECT v FROM t_text WHERE k = U&'\\0061nn'", [], "t_text: k = 'ann'"), ("SELECT v FROM t_text WHERE k = $$ann$$", [], "t_text: k = 'ann'"),
    ("SELECT v FROM t_text WHERE k = 'a' 'nn'", [], "!"), ("SELECT v FROM t_text WHERE k = 'an' || 'n'", [], "t_text: k = 'ann'"),
    ("SELECT v FROM t_text WHERE k = lower('ANN')", [], "t_text: k = 'ann'"), ("SELECT v FROM t_text WHERE lower(k) = 'ann'", [], "t_text: k = 'ann'"),
    ("SELECT v FROM t_text WHERE k = 'ann'::char(5)", [], "t_text: k = 'ann'"), ("SELECT v FROM t_text WHERE k = 'annabel'::varchar(3)", [], "t_text: k = 'ann'"),
    ("SELECT v FROM t_text WHERE k = 'ann'::name", [], "t_text: k = 'ann'"), ("SELECT v FROM t_text WHERE k LIKE 'ann'", [], "t_text: k = 'ann'"),
    ("SELECT v FROM t_text WHERE k = 'ann '", [], "t_text: false"), ("SELECT v FROM t_bpchar WHERE k = 'ann   '", [], "t_bpchar: k = 'ann'"),
    ("SELECT v FROM t_bpchar WHERE k = 'ann '::text", [], "t_bpchar: false"), ("SELECT v FROM t_bpchar WHERE k = 'ann'::text", [], "t_bpchar: k = 'ann'"),
    ("SELECT v FROM t_varchar WHERE k = 'ann'::text", [], "t_varchar: k = 'ann'"), ("SELECT v FROM t_text WHERE k = 7::text", [], "t_text: k = '7'"),
    ("SELECT v FROM t_text WHERE k COLLATE \"C\" = 'ann'", [], "t_text: k = 'ann'"), ("SELECT v FROM t_text WHERE k = 'ann' COLLATE \"C\"", [], "t_text: k = 'ann'"),
    # ---- dates in other clothes ----
    ("SELECT v FROM t_date WHERE k = '2010-02-10'::date", [], "t_date: k = '2010-02-10'"), ("SELECT v FROM t_date WHERE k = '20100210'", [], "t_date: k = '2010-02-10'"),
    ("SELECT v FROM t_date WHERE k = 'February 10, 2010'", [], "t_date: k = '2010-02-10'"), ("SELECT v FROM t_date WHERE k = DATE '2010-02-10'", [], "t_date: k = '2010-02-10'"),
    ("SELECT v FROM t_date WHERE k = '2010-02-10 00:00'::timestamp", [], "t_date: k = '2010-02-10'"), ("SELECT v FROM t_date WHERE k = '2010-02-10 01:00'::timestamp", [], "t_date: false"),
    ("SELECT v FROM t_date WHERE k = '2010-02-09'::date + 1", [], "t_date: k = '2010-02-10'"), ("SELECT v FROM t_date WHERE k = 'today'", [], "?"),
    ("SELECT v FROM t_timestamptz WHERE k = '2010-02-10 10:00:00+00'::timestamptz", [], "t_timestamptz: k = '2010-02-10 10:00:00+00'"),
    ("SELECT v FROM t_timestamptz WHERE k = '2010-02-10 12:00:00+02'", [], "t_timestamptz: k = '2010-02-10 10:00:00+00'"),
    ("SELECT v FROM t_timestamptz WHERE k = '2010-02-10 05:00:00'", [], "t_timestamptz: k = '2010-02-10 10:00:00+00'", "tz=America/New_York"),
    ("SELECT v FROM t_timestamptz WHERE k = '2010-02-10T10:00:00Z'", [], "t_timestamptz: k = '2010-02-10 10:00:00+00'", "tz=Asia/Kolkata"),
    ("SELECT v FROM t_timestamp WHERE k = '2010-02-10 10:00'", [], "t_timestamp: k = '2010-02-10 10:00'"),
    ("SELECT v FROM t_timestamp WHERE k = '2010-02-10 10:00:00.0000'::timestamp(0)", [], "t_timestamp: k = '2010-02-10 10:00'"),
    ("SELECT v FROM t_uuid WHERE k = '{00000000-0000-0000-0000-000000000003}'", [], "t_uuid: k = '00000000-0000-0000-0000-000000000003'"),
    ("SELECT v FROM t_uuid WHERE k = '00000000000000000000000000000003'", [], "t_uuid: k = '00000000-0000-0000-0000-000000000003'"),
    ("SELECT v FROM t_uuid WHERE k = upper('00000000-0000-0000-0000-000000000003')::uuid", [], "t_uuid: k = '00000000-0000-0000-0000-000000000003'"),
]
