"""A small data set of the TPC-H schema: the value domains of the specification, where the queries look at them, and denser than
there where so few rows would answer nothing."""
import datetime

NATIONS = [("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3),
           ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0),
           ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2),
           ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1)]
REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
COLORS = ["almond", "azure", "forest", "green", "ivory", "navy", "plum", "red", "tan", "white"]
TYPES = (["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"], ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"],
         ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"])
CONTAINERS = (["SM", "LG", "MED", "JUMBO", "WRAP"], ["CASE", "BOX", "BAG", "JAR", "PKG", "PACK"])
SEGMENTS = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"]
PRIORITIES = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"]
INSTRUCTIONS = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]
MODES = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]
FIRST, LAST, NOW = datetime.date(1992, 1, 1), datetime.date(1998, 8, 2), datetime.date(1995, 6, 17)


def money(rng, low, high):
    return f"{rng.randrange(low, high) / 100:.2f}"


def phone(rng, nation):
    return f"{nation + 10}-{rng.randrange(100, 1000)}-{rng.randrange(100, 1000)}-{rng.randrange(1000, 10000)}"


def few(rng, words, more=None, chance=0.0):
    text = " ".join(rng.choice(words) for _ in range(3))
    return more if rng.random() < chance else text


def parts(rng, count):
    for key in range(1, count + 1):
        kind = " ".join(rng.choice(words) for words in TYPES)
        maker = rng.randrange(1, 6)
        yield [key, " ".join(rng.sample(COLORS, 3)), f"Manufacturer#{maker}", f"Brand#{maker}{rng.randrange(1, 6)}", kind,
               rng.randrange(1, 51), " ".join(rng.choice(words) for words in CONTAINERS), f"{(90000 + key * 137 % 20001) / 100:.2f}",
               few(rng, COLORS)[:22]]


def rows(rng, scale=1):
    """table -> rows. scale 1: 1,500 orders."""
    suppliers, part_count, customers, orders = 30 * scale, 150 * scale, 150 * scale, 1500 * scale
    tables = {"region": [[n, name, "a region"] for n, name in enumerate(REGIONS)],
              "nation": [[n, name, region, "a nation"] for n, (name, region) in enumerate(NATIONS)],
              "supplier": [], "part": list(parts(rng, part_count)), "partsupp": [], "customer": [], "orders": [], "lineitem": []}
    for key in range(1, suppliers + 1):
        nation = rng.choice([3, 6, 7, 18, 20]) if rng.random() < 0.5 else rng.randrange(25)
        tables["supplier"].append([key, f"Supplier#{key:09}", few(rng, COLORS), nation, phone(rng, nation), money(rng, -99999, 999999),
                                   few(rng, COLORS, "much Customer noise, many Complaints", 0.1)])
    for part in range(1, part_count + 1):
        for supplier in rng.sample(range(1, suppliers + 1), 4):
            tables["partsupp"].append([part, supplier, rng.randrange(1, 10000), money(rng, 100, 100001), few(rng, COLORS)])
    for key in range(1, customers + 1):
        nation = rng.randrange(25)
        tables["customer"].append([key, f"Customer#{key:09}", few(rng, COLORS), nation, phone(rng, nation), money(rng, -99999, 999999),
                                   rng.choice(SEGMENTS), few(rng, COLORS)])
    for number in range(orders):
        order(rng, tables, number, customers)
    return tables


def order(rng, tables, number, customers):
    key = number * 4 + 1 + number % 3
    date = FIRST + datetime.timedelta(days=rng.randrange((LAST - FIRST).days))
    customer = rng.randrange(1, customers + 1)
    if customer % 3 == 0:  # a third of the customers never orders
        customer -= 1
    lines = [line(rng, tables, key, n, date) for n in range(1, 8 if rng.random() < 0.05 else rng.randrange(2, 8))]
    states = {row[9] for row in lines}
    total = sum(float(row[5]) * (1 + float(row[7])) * (1 - float(row[6])) for row in lines)
    tables["orders"].append([key, customer, states.pop() if len(states) == 1 else "P", f"{total:.2f}", date, rng.choice(PRIORITIES),
                             f"Clerk#{rng.randrange(1000):09}", 0, few(rng, COLORS, "wants special packages and requests", 0.1)])
    tables["lineitem"] += lines


def line(rng, tables, key, number, date):
    part = rng.choice(tables["part"])
    supplier = tables["partsupp"][(part[0] - 1) * 4 + rng.randrange(4)][1]
    quantity = rng.choice([50, 48, 1, 2]) if rng.random() < 0.2 else rng.randrange(1, 51)
    ship = date + datetime.timedelta(days=rng.randrange(1, 122))
    commit = date + datetime.timedelta(days=rng.randrange(30, 91))
    receipt = ship + datetime.timedelta(days=rng.randrange(1, 31))
    returned = rng.choice("RA") if receipt <= NOW else "N"
    return [key, part[0], supplier, number, quantity, f"{quantity * float(part[7]):.2f}", f"{rng.randrange(11) / 100:.2f}",
            f"{rng.randrange(9) / 100:.2f}", returned, "O" if ship > NOW else "F", ship, commit, receipt, rng.choice(INSTRUCTIONS),
            rng.choice(MODES), few(rng, COLORS)]
