"""The rows: table -> list of lists of text, as COPY wants them. None is NULL."""
WORDS = ["", "a", "A", "b", "B", "ab", "a b", " a", "Zebra", "zebra", "éclair", "ä", "Z", "_x", "-1", "10", "9", "ß", "日本"]
COUNTRIES = ["de", "fr", "gb", "us", "jp"]
NUMERICS = ["0", "1.5", "-1.25", "123456789012345678901234567890.123", "NaN", "0.0001", "-99999", "10000", "Infinity",
            "9999.9999", "1e-20", "7", "-0.3", "33333333.3"]
FLOATS = ["0", "2.5", "1.5", "NaN", "Infinity", "-Infinity", "1e300", "1e-10", "3.25", "-7", "123456789"]
DATES = ["2024-01-01", "1999-12-31", "infinity", "-infinity", "0044-03-15 BC", "12024-01-01"]
STAMPS = ["2024-01-01 00:00:00", "1969-12-31 23:59:59.999999", "infinity", "0001-01-01 BC", "2024-01-01 00:00:00.5"]
INSTANTS = ["2024-03-31 01:00:00+00", "2024-03-31 02:30:00+01", "1880-01-01 00:00:00+00", "-infinity",
            "2024-07-01 00:00:00.000001-08"]


def instant(rng):
    return (f"2024-0{rng.randrange(1, 9)}-1{rng.randrange(10)} 1{rng.randrange(10)}:00:0{rng.randrange(9)}"
            f".{rng.randrange(999)}+0{rng.randrange(4)}")


def value_row(rng, maybe, k, floats):
    return [k, maybe(rng.randrange(-9, 9)), maybe(rng.randrange(-9, 9)),
            maybe(rng.choice([1, 2, 3, -4, 2 ** 40, -2 ** 40, 9007199254740993])), maybe(rng.choice([1, 2, 3000000000])),
            maybe(rng.choice(NUMERICS)), maybe(round(rng.uniform(-99, 99), 3)),
            maybe(rng.choice(floats[:3] + floats[-3:])), maybe(rng.choice(floats)), maybe(rng.random() < 0.5),
            maybe(rng.choice(DATES)), maybe(rng.choice(STAMPS)), maybe(rng.choice(INSTANTS)),
            maybe(rng.choice(["00:00:00", "23:59:59.999999", "24:00:00", "12:30:00"])),
            maybe("%032x" % rng.getrandbits(128)), maybe("\\\\x" + rng.choice(["", "00", "ff", "00ff", "616263"])),
            maybe(rng.choice(WORDS)), maybe(rng.choice(WORDS)), maybe(rng.choice(WORDS)), maybe(rng.choice(["a", "a b", "", "B"])),
            maybe(f"{rng.randrange(9)} days"), maybe('{"a": %d}' % rng.randrange(3)), maybe("{%d}" % rng.randrange(3))]


def rows(rng, embedded=False):
    """embedded: without what the sqlite engine refuses to store."""
    def maybe(value):
        return None if rng.random() < 0.15 else value

    tables = {"tags": [[i + 1, name] for i, name in enumerate(["red", "green", "blue", "", "grey"])],
              "countries": [[code, name, maybe(f"1{n}01-0{n + 1}-01")] for n, (code, name) in enumerate(
                  zip(COUNTRIES, ["Österreich", "france", "Zypern", "États", "japan"]))],
              "authors": [], "posts": [], "comments": [], "accounts": [], "days": [], '"values"': []}
    for i in range(1, 41):
        tables["authors"].append([i, rng.choice(WORDS) + str(i % 7), maybe(f"19{rng.randrange(50, 99)}-0{rng.randrange(1, 10)}-11"),
                                  maybe(round(rng.uniform(0, 10), 2)), maybe(rng.random() < 0.5),
                                  maybe(rng.choice(COUNTRIES + ["xx"]))])
        for n in range(rng.randrange(0, 9)):
            tables["posts"].append([i, n, rng.choice(WORDS), maybe(rng.randrange(-5, 20)), maybe(rng.randrange(1, 7)),
                                    maybe(instant(rng))])
            for m in range(rng.randrange(0, 3)):
                tables["comments"].append([i, n, m, maybe(rng.randrange(1, 45)), maybe(rng.randrange(0, 6)),
                                           maybe(round(rng.uniform(-50, 50), rng.randrange(5))), instant(rng),
                                           maybe(rng.choice(WORDS))])
    for n, word in enumerate(WORDS):
        tables["accounts"].append([word, maybe(rng.randrange(1, 45)), maybe(rng.choice(NUMERICS[:3] + NUMERICS[5:8])),
                                   maybe(instant(rng))])
        tables["accounts"].append([f"{word}{n}", maybe(rng.randrange(1, 45)), maybe(round(rng.uniform(0, 9), 2)),
                                   maybe(instant(rng))])
    for n in range(90):
        tables["days"].append([f"202{rng.randrange(2, 7)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}", n,
                               maybe(rng.randrange(1, 45)), maybe(round(rng.uniform(-9, 99), 2)), maybe(rng.choice(WORDS))])
    for k in range(1, 181):
        tables['"values"'].append(value_row(rng, maybe, k, [f for f in FLOATS if f != "NaN" or not embedded]))
    if embedded:
        del tables["accounts"], tables["days"]
        tables['"values"'] = [row[:-1] for row in tables['"values"']]
    return tables


def copy_text(table_rows):
    return "".join("\t".join("\\N" if value is None else str(value) for value in row) + "\n" for row in table_rows)
