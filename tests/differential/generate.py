"""Random SELECTs over the schema. What one server does not determine (ties under LIMIT) is avoided where that is cheap;
the runner finds out about the rest by asking a second server that stores the same rows in another order."""
import re

COLUMNS = ["k", "i2", "i4", "i8", "o", "n", "n2", "f4", "f8", "b", "d", "ts", "tz", "tm", "u", "y", "t", "tc", "v", "c"]
NUMBERS = ["i2", "i4", "i8", "n2", "n"]
KEYS = ["i2", "i4", "i8", "b", "d", "ts", "tz", "tm", "n2", "o", "y", "t", "tc", "v", "c", "i4 % 3", "coalesce(i2, 0)", "n", "f8",
        "date_trunc('month', ts)", "extract(year from tz)", "i4 IS NULL", "CASE WHEN i2 > 0 THEN 'plus' ELSE 'other' END"]
AGGREGATES = ["count(*)", "count({c})", "sum({n})", "avg({n})", "min({c})", "max({c})", "bool_and(b)", "bool_or(b)",
              "bit_and(i4)", "bit_or(i8)", "count({c}) FILTER (WHERE b)", "sum(f8)", "avg(i4)", "sum({n} * 2)",
              "sum({n}) FILTER (WHERE i4 > 0)", "every(i4 > 0)", "sum(f4)", "count(DISTINCT {c})", "count(DISTINCT k)",
              "sum(DISTINCT i4)", "stddev(i4)", "string_agg(tc, ',' ORDER BY k)", "array_agg(i4 ORDER BY k)", "max(a)"]
OVER_AGGREGATES = ["sum({n}) / count(*)", "round(avg({n}), 2)", "max({n}) - min({n})", "coalesce(sum({n}), 0)", "sum({n})::text",
                   "CASE WHEN count(*) > 3 THEN 'many' ELSE 'few' END", "count(*) * 2", "-sum({n})", "count({c}) > 3",
                   "100.0 * count({c}) / count(*)"]
CONDITIONS = ["", " WHERE i4 > {i}", " WHERE i4 IS NOT NULL AND k < {p}", " WHERE b", " WHERE k IN (1, 5, 9, 13, 60, 61)",
              " WHERE k = {p}", " WHERE n2 BETWEEN -50 AND 50", " WHERE t LIKE '%a%'", " WHERE k BETWEEN 20 AND 90 OR i2 = {i}",
              " WHERE tz > '2024-03-31 00:30' AND k <> {p}", " WHERE k IN ({p}, {q}, NULL)", " WHERE k = {p} OR k = {q}",
              " WHERE (k, i4) = ({p}, {i})", " WHERE k = {p} AND k = {q}", " WHERE NOT (k = {p})", " WHERE k = ANY ('{{{p},{q}}}')",
              " WHERE d < '2024-01-01' OR d IS NULL", " WHERE i4 IN (SELECT score FROM posts WHERE author_id = {r})",
              " WHERE k IN (SELECT author_id FROM posts WHERE score > {i})", " WHERE i2 = (SELECT max(id) FROM tags)",
              " WHERE EXISTS (SELECT 1 FROM posts p WHERE p.author_id = k AND p.score > {i})"]
JOINS = [
    "authors a JOIN posts p ON p.author_id = a.id", "authors a LEFT JOIN posts p ON a.id = p.author_id",
    "posts p JOIN authors a ON a.id = p.author_id LEFT JOIN tags t ON t.id = p.tag_id",
    "authors a JOIN posts p ON p.author_id = a.id AND p.score > 3",
    "authors a LEFT JOIN posts p ON p.author_id = a.id AND a.id = {r}",
    "posts p RIGHT JOIN authors a ON p.author_id = a.id AND p.author_id = {r}",
    "authors a JOIN posts p ON p.author_id = a.id AND a.id IN ({r}, {s})",
    "authors a JOIN countries n ON n.code = a.country JOIN posts p ON p.author_id = a.id",
    "authors a LEFT JOIN countries n ON n.code = a.country LEFT JOIN posts p ON p.author_id = a.id",
    "authors a JOIN posts p ON p.score = a.id", "authors a JOIN posts p ON p.author_id = a.id + 1",
    "authors a LEFT JOIN posts p ON p.tag_id = a.id", "authors a JOIN comments p ON p.by_author = a.id",
    "authors a FULL JOIN posts p ON p.author_id = a.id", "authors a FULL JOIN comments p ON p.by_author = a.id AND p.likes > 2",
    "tags t LEFT JOIN posts p ON p.tag_id = t.id JOIN authors a ON a.id = p.author_id",
    "authors a, posts p", "authors a JOIN (SELECT author_id, max(id) AS id, max(score) AS score FROM posts GROUP BY author_id) p "
    "ON p.author_id = a.id", "authors a JOIN accounts w ON w.author_id = a.id JOIN posts p ON p.author_id = a.id",
    "authors a JOIN days y ON y.author_id = a.id JOIN posts p ON p.author_id = a.id AND p.id = 1",
    "(SELECT * FROM authors WHERE id = {r} OR id = {s}) a JOIN posts p ON p.author_id = a.id",
    "authors a CROSS JOIN LATERAL (SELECT id, author_id, score FROM posts WHERE author_id = a.id ORDER BY id LIMIT 2) p",
]
ARMS = ["SELECT id, score FROM posts", "SELECT id::int, NULL::int FROM authors", "SELECT id, likes::int FROM comments",
        "SELECT author_id::int, id FROM posts WHERE author_id = {r}", "SELECT id, 0 FROM tags", "SELECT n, author_id::int FROM days",
        "SELECT k::int, i4 FROM \"values\" WHERE k < {p}", "SELECT 1, 2", "SELECT author_id::int, count(*)::int FROM posts GROUP BY 1"]
WINDOWS = ["row_number() OVER (ORDER BY k)", "rank() OVER (ORDER BY i4)", "sum(i4) OVER (PARTITION BY i2 ORDER BY k)",
           "count(*) OVER ()", "lag(i4) OVER (ORDER BY k)", "first_value(tc) OVER (PARTITION BY b ORDER BY k)",
           "row_number() OVER (PARTITION BY k ORDER BY i4)", "avg(n2) OVER (PARTITION BY k)",
           "sum(i8) OVER (ORDER BY k ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)", "ntile(4) OVER (ORDER BY k)"]
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Dublin"]


class Generator:
    """statement() -> (kind, SQL, whether the order is total, parameters)."""

    def __init__(self, rng):
        self.rng = rng
        self.kinds = {"plain": 3, "groups": 3, "totals": 2, "over": 2, "distinct": 2, "distinct_on": 1, "joined": 4, "sets": 2,
                      "windows": 1, "nested": 2, "keyed": 3, "grouping_sets": 1}

    def statement(self):
        kind = self.rng.choices(list(self.kinds), list(self.kinds.values()))[0]
        return (kind,) + getattr(self, kind)()

    def fill(self, text):
        return text.format(i=self.rng.randrange(-5, 6), p=self.rng.randrange(1, 180), q=self.rng.randrange(1, 180),
                           r=self.rng.randrange(1, 43), s=self.rng.randrange(1, 43), c=self.rng.choice(COLUMNS),
                           n=self.rng.choice(NUMBERS))

    def direction(self):
        return self.rng.choice(["", " ASC", " DESC"]) + self.rng.choice(["", "", " NULLS FIRST", " NULLS LAST"])

    def condition(self):
        return self.fill(self.rng.choice(CONDITIONS))

    def limit(self, parameters):
        parts = ""
        for word, chance, most in (("LIMIT", 0.4, 12), ("OFFSET", 0.3, 8)):
            if self.rng.random() > chance:
                continue
            value = self.rng.randrange(most)
            if self.rng.random() < 0.3:
                parameters.append(str(value))
                parts += f" {word} ${len(parameters)}"
            else:
                parts += f" {word} {value}"
        return parts

    def plain(self):
        parameters = []
        columns = self.rng.sample(COLUMNS, self.rng.randrange(1, 5))
        if self.rng.random() < 0.15:
            columns.insert(self.rng.randrange(len(columns) + 1), "*")
        if self.rng.random() < 0.2:
            columns.append("i4 + 1 AS x")
        order = [self.rng.choice(COLUMNS + ["i4 + i2", "-k", "abs(i4)", "n2 * 2", "t COLLATE \"C\"", "lower(tc)", "e", "j",
                                            "t COLLATE \"en-x-icu\""]) + self.direction()
                 for _ in range(self.rng.randrange(0, 4))]
        if "i4 + 1 AS x" in columns and self.rng.random() < 0.5:
            order.append("x" + self.direction())
        order.append("k" + self.direction())
        sql = f'SELECT {", ".join(columns)} FROM "values"{self.condition()} ORDER BY {", ".join(order)}{self.limit(parameters)}'
        return sql, True, parameters

    def keyed(self):
        """Everything about the key: rows of the wrong shard would be missed."""
        parameters = []
        terms = []
        for _ in range(self.rng.randrange(1, 4)):
            term = self.rng.choice(["k = {p}", "k IN ({p}, {q})", "k = $", "k = ANY ($)", "(k = {p} OR k = {q})", "k BETWEEN {p} AND {q}",
                                    "k < {p}", "(k, i4) IN (({p}, {i}), ({q}, {i}))", "i4 = {i}", "(k = {p} OR i4 > {i})", "k IS NULL",
                                    "k = {p} + 1", "k = '{p}'", "k::text = '{p}'", "NOT k = {p}", "k = {p}::numeric", "k = {p}.0",
                                    "k IN (SELECT id FROM tags)", "k IS NOT DISTINCT FROM {p}", "k = coalesce(NULL, {p})"])
            if term.endswith("$)"):
                parameters.append("{%d,%d}" % (self.rng.randrange(1, 180), self.rng.randrange(1, 180)))
                term = f"k = ANY (${len(parameters)})"
            elif term.endswith("$"):
                parameters.append(str(self.rng.randrange(1, 180)))
                term = f"k = ${len(parameters)}"
            terms.append(self.fill(term))
        where = self.rng.choice([" AND ", " AND ", " OR "]).join(terms)
        return f'SELECT k, i4 FROM "values" WHERE {where} ORDER BY k', True, parameters

    def aggregate(self):
        return self.fill(self.rng.choice(AGGREGATES))

    def over_aggregate(self):
        return self.fill(self.rng.choice(OVER_AGGREGATES))

    def totals(self):
        parameters = []
        items = [self.aggregate() for _ in range(self.rng.randrange(1, 5))]
        return f'SELECT {", ".join(items)} FROM "values"{self.condition()}{self.limit(parameters)}', True, parameters

    def over(self):
        """Expressions of aggregates, with and without groups."""
        keys = self.rng.sample(KEYS + ["k"], self.rng.randrange(0, 3))
        items = keys + [self.over_aggregate() for _ in range(self.rng.randrange(1, 3))]
        sql = f'SELECT {", ".join(items)} FROM "values"{self.condition()}'
        if keys:
            sql += f" GROUP BY {', '.join(keys)}"
        if self.rng.random() < 0.3:
            sql += f" HAVING {self.fill(self.rng.choice(['sum(i4) > {i} OR count(*) > 2', 'avg(n2) < max(n2)', 'max(i4) IS NOT NULL', 'count(*) % 2 = 0']))}"
        if keys:
            sql += f" ORDER BY {', '.join(keys)}"
        return sql, True, []

    def groups(self):
        parameters = []
        keys = self.rng.sample(KEYS + ["k"], self.rng.randrange(1, 4))
        items = [(key, True) for key in keys if self.rng.random() < 0.8] + \
                [(self.aggregate(), False) for _ in range(self.rng.randrange(0, 4))]
        self.rng.shuffle(items)
        if not items:
            items = [("count(*)", False)]
        names = [text for text, _ in items]
        group = [str(names.index(key) + 1) if key in names and self.rng.random() < 0.3 else key for key in keys]
        sql = f'SELECT {", ".join(names)} FROM "values"{self.condition()} GROUP BY {", ".join(group)}'
        if self.rng.random() < 0.3:
            sql += f" HAVING count(*) {self.rng.choice(['>', '>=', '<', '='])} {self.rng.randrange(4)}"
        ordered = self.rng.random() < 0.6
        if ordered:
            order = [key + self.direction() for key in keys]
            self.rng.shuffle(order)
            if self.rng.random() < 0.4:
                order.insert(0, self.rng.choice(["count(*)", "max(k)", "sum(i4)", "avg(n2)"]) + self.direction())
            sql += f" ORDER BY {', '.join(order)}{self.limit(parameters)}"
        return sql, ordered, parameters

    def grouping_sets(self):
        keys = self.rng.sample(["i2", "i4", "b", "d"], 2)
        form = self.rng.choice(["ROLLUP ({})", "CUBE ({})", "GROUPING SETS (({}), ())"]).format(", ".join(keys))
        return f'SELECT {", ".join(keys)}, count(*), sum(i8) FROM "values"{self.condition()} GROUP BY {form}', False, []

    def distinct(self):
        parameters = []
        keys = self.rng.sample(KEYS, self.rng.randrange(1, 4))
        sql = f'SELECT DISTINCT {", ".join(keys)} FROM "values"{self.condition()}'
        if self.rng.random() < 0.4:
            return sql, False, parameters
        order = [key + self.direction() for key in keys]
        self.rng.shuffle(order)
        return f"{sql} ORDER BY {', '.join(order)}{self.limit(parameters)}", True, parameters

    def distinct_on(self):
        parameters = []
        keys = self.rng.sample(KEYS, self.rng.randrange(1, 3))
        order = [key + self.direction() for key in keys] + ["k" + self.direction()]
        sql = f'SELECT DISTINCT ON ({", ".join(keys)}) {", ".join(self.rng.sample(COLUMNS, 2))} FROM "values"{self.condition()}'
        return f"{sql} ORDER BY {', '.join(order)}{self.limit(parameters)}", True, parameters

    def joined(self):
        parameters = []
        source = self.fill(self.rng.choice(JOINS))
        where = self.fill(self.rng.choice(["", "", " WHERE a.id = {r}", " WHERE a.id IN ({r}, {s})", " WHERE p.author_id IS NULL",
                                           " WHERE p.author_id = {r} OR a.id = {s}", " WHERE a.active", " WHERE a.id = {r} AND p.author_id = {s}",
                                           " WHERE p.author_id BETWEEN {r} AND {s}", " WHERE a.born IS NULL"]))
        shape = self.rng.random()
        if shape < 0.4:
            order = [self.rng.choice(["a.name", "p.score", "a.rating", "a.born", "p.id", "a.country"]) + self.direction(), "a.id",
                     "p.author_id", "p.id"]
            if "comments p" in source:
                order, columns = ["a.id", "p.author_id", "p.post_id", "p.id"], "a.id, p.author_id, p.id, p.likes"
            else:
                columns = "a.id, p.id, a.name, p.score"
            ordered = " w " not in source and " y " not in source and " t " not in source
            order = [term for term in order if "score" not in term or "comments" not in source]
            return f"SELECT {columns} FROM {source}{where} ORDER BY {', '.join(order)}{self.limit(parameters) if ordered else ''}", ordered, parameters
        score = "p.likes" if "comments p" in source else "p.score"
        if shape < 0.6:
            return f"SELECT count(*), sum({score}), avg({score}), min(a.rating), max(p.id) FROM {source}{where}", True, parameters
        key = self.rng.choice(["a.country", score, "a.active", "a.id", "a.name", "a.born"])
        more = self.rng.choice(["", "", ", count(DISTINCT p.id)", ", max(a.rating) - min(a.rating)"])
        having = self.rng.choice(["", "", " HAVING count(*) > 1"])
        return (f"SELECT {key}, count(*), sum({score}), avg({score}), min(a.rating){more} FROM {source}{where} GROUP BY {key}{having} "
                f"ORDER BY {key}{self.limit(parameters)}"), True, parameters

    def sets(self):
        parameters = []
        arms = [self.fill(self.rng.choice(ARMS)) for _ in range(self.rng.randrange(2, 4))]
        sql = arms[0]
        for arm in arms[1:]:
            sql += f" {self.rng.choice(['UNION ALL', 'UNION ALL', 'UNION', 'INTERSECT', 'EXCEPT'])} {arm}"
        if self.rng.random() < 0.5:
            return f"{sql} ORDER BY 1{self.direction()}, 2{self.direction()}{self.limit(parameters)}", True, parameters
        return sql, False, []

    def limit_text(self):
        return self.rng.choice(["", " LIMIT 5", " LIMIT 7 OFFSET 2"])

    def windows(self):
        items = ["k"] + [self.rng.choice(WINDOWS) for _ in range(self.rng.randrange(1, 3))]
        return f'SELECT {", ".join(items)} FROM "values"{self.condition()} ORDER BY k{self.direction()}{self.limit_text()}', True, []

    def nested(self):
        sql = self.fill(self.rng.choice([
            "SELECT * FROM (SELECT author_id, count(*) AS c FROM posts GROUP BY author_id) s WHERE c > 3 ORDER BY author_id",
            "SELECT max(c) FROM (SELECT author_id, count(*) AS c FROM posts GROUP BY author_id) s",
            "WITH s AS (SELECT author_id, sum(score) AS c FROM posts GROUP BY author_id) SELECT a.name, s.c FROM authors a JOIN s ON "
            "s.author_id = a.id ORDER BY a.id",
            "WITH s AS (SELECT * FROM posts WHERE author_id = {r}) SELECT count(*), max(score) FROM s",
            "SELECT id, (SELECT count(*) FROM posts p WHERE p.author_id = a.id) FROM authors a ORDER BY id",
            "SELECT id, (SELECT max(score) FROM posts) FROM authors ORDER BY id LIMIT 5",
            "SELECT id FROM authors a WHERE NOT EXISTS (SELECT 1 FROM posts p WHERE p.author_id = a.id) ORDER BY id",
            "SELECT id FROM authors a WHERE NOT EXISTS (SELECT 1 FROM comments c WHERE c.by_author = a.id) ORDER BY id",
            "SELECT id FROM authors WHERE id NOT IN (SELECT author_id FROM posts WHERE score > {i}) ORDER BY id",
            "SELECT id FROM authors WHERE id IN (SELECT by_author FROM comments WHERE author_id = {r}) ORDER BY id",
            "SELECT count(*) FROM posts p WHERE score > (SELECT avg(score) FROM posts q WHERE q.author_id = p.author_id)",
            "SELECT count(*) FROM posts p WHERE score > (SELECT avg(score) FROM posts q)",
            "SELECT * FROM (SELECT id, name FROM authors ORDER BY name, id LIMIT 3) s ORDER BY id",
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5) SELECT n, count(id) FROM s LEFT JOIN authors "
            "ON id = n GROUP BY n ORDER BY n",
            "SELECT * FROM good_posts WHERE author_id = {r} ORDER BY id", "SELECT count(*) FROM good_posts",
            "SELECT owner FROM accounts WHERE owner IN ('a', 'Zebra', '日本') ORDER BY owner COLLATE \"C\"",
            "SELECT owner, balance FROM accounts WHERE owner = 'ß' OR owner = 'a b'",
            "SELECT d, n FROM days WHERE d BETWEEN '2023-03-01' AND '2024-05-01' ORDER BY d, n",
            "SELECT count(*), sum(amount) FROM days WHERE d >= '2025-01-01' AND d < '2025-07-01'",
            "SELECT date_trunc('year', d), sum(amount) FROM days GROUP BY 1 ORDER BY 1",
            "SELECT note, count(*) FROM days GROUP BY note", "SELECT DISTINCT note FROM days WHERE d < '2022-06-01'",
            "SELECT a.id, y.amount FROM authors a JOIN days y ON y.author_id = a.id WHERE y.d > '2025-06-01' ORDER BY a.id, y.d, y.n",
            "SELECT name, count(*) FROM countries n LEFT JOIN authors a ON a.country = n.code GROUP BY name",
            "SELECT name FROM countries ORDER BY name", "SELECT avg(c) FROM (SELECT count(*) AS c FROM posts GROUP BY tag_id) s",
        ]))
        return sql, re.search(r"ORDER BY [^()]*$", sql) is not None, []
