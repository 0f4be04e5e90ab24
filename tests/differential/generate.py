"""Random SELECTs over the schema. What is not reproducible on one server (ties under LIMIT) is not made."""

COLUMNS = ["k", "i2", "i4", "i8", "o", "n", "n2", "f4", "f8", "b", "d", "ts", "tz", "tm", "u", "y", "t", "tc", "v", "c"]
NUMBERS = ["i2", "i4", "i8", "n2", "n"]
KEYS = ["i2", "i4", "i8", "b", "d", "ts", "tz", "tm", "n2", "o", "y", "t", "tc", "v", "c", "i4 % 3", "coalesce(i2, 0)", "n", "f8"]
AGGREGATES = ["count(*)", "count({c})", "sum({n})", "avg({n})", "min({c})", "max({c})", "bool_and(b)", "bool_or(b)",
              "bit_and(i4)", "bit_or(i8)", "count({c}) FILTER (WHERE b)", "sum(f8)", "avg(i4)", "sum({n} * 2)"]
CONDITIONS = ["", " WHERE i4 > {i}", " WHERE i4 IS NOT NULL AND k < {p}", " WHERE b", " WHERE k IN (1, 5, 9, 13, 60, 61)",
              " WHERE k = {p}", " WHERE n2 BETWEEN -50 AND 50", " WHERE t LIKE '%a%'", " WHERE k BETWEEN 20 AND 90 OR i2 = {i}"]


class Generator:
    def __init__(self, rng):
        self.rng = rng

    def direction(self):
        return self.rng.choice(["", " ASC", " DESC"]) + self.rng.choice(["", "", " NULLS FIRST", " NULLS LAST"])

    def condition(self):
        text = self.rng.choice(CONDITIONS)
        return text.format(i=self.rng.randrange(-5, 6), p=self.rng.randrange(1, 180))

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

    def statement(self):
        return self.rng.choice([self.plain, self.plain, self.groups, self.groups, self.totals, self.distinct, self.distinct_on,
                                self.joined])()

    def plain(self):
        parameters = []
        columns = self.rng.sample(COLUMNS, self.rng.randrange(1, 5))
        if self.rng.random() < 0.15:
            columns.insert(self.rng.randrange(len(columns) + 1), "*")
        if self.rng.random() < 0.2:
            columns.append("i4 + 1 AS x")
        order = [self.rng.choice(COLUMNS + ["i4 + i2", "-k", "abs(i4)", "n2 * 2", "t COLLATE \"C\""]) + self.direction()
                 for _ in range(self.rng.randrange(0, 4))]
        if "i4 + 1 AS x" in columns and self.rng.random() < 0.5:
            order.append("x" + self.direction())
        order.append("k" + self.direction())
        sql = f'SELECT {", ".join(columns)} FROM "values"{self.condition()} ORDER BY {", ".join(order)}{self.limit(parameters)}'
        return sql, True, parameters

    def aggregate(self):
        return self.rng.choice(AGGREGATES).format(c=self.rng.choice(COLUMNS), n=self.rng.choice(NUMBERS))

    def totals(self):
        parameters = []
        items = [self.aggregate() for _ in range(self.rng.randrange(1, 5))]
        return f'SELECT {", ".join(items)} FROM "values"{self.condition()}{self.limit(parameters)}', True, parameters

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
        source = self.rng.choice([
            "authors a JOIN posts p ON p.author_id = a.id", "authors a LEFT JOIN posts p ON a.id = p.author_id",
            "posts p JOIN authors a ON a.id = p.author_id LEFT JOIN tags t ON t.id = p.tag_id",
            "authors a JOIN posts p ON p.author_id = a.id AND p.score > 3"])
        if self.rng.random() < 0.5:
            order = [self.rng.choice(["a.name", "p.score", "a.rating", "a.born", "p.written", "p.title"]) + self.direction(), "a.id", "p.id"]
            return f"SELECT a.id, p.id, a.name, p.score FROM {source} ORDER BY {', '.join(order)}{self.limit(parameters)}", True, parameters
        key = self.rng.choice(["a.country", "p.score", "a.active", "p.title", "a.id", "a.name"])
        return f"SELECT {key}, count(*), sum(p.score), avg(p.score), min(a.rating) FROM {source} GROUP BY {key} ORDER BY {key}{self.limit(parameters)}", True, parameters
