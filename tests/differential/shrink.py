"""Makes a failing statement smaller: takes tokens away as long as it still fails."""
import re

TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|\$\d+|\w+(?:\.\w+)?|::|<>|[<>]=|\S""")


def pieces(sql):
    """Tokens; a pair of parentheses may only go together with what is between them, or leave it."""
    return TOKEN.findall(sql)


def balanced(tokens):
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if depth < 0:
            return False
    return depth == 0


def shrink(sql, fails, tries=400):
    """The smallest statement found for which fails(sql) holds; at most `tries` statements are tried."""
    tokens, size = pieces(sql), None
    size = len(tokens) // 2
    while size > 0 and tries > 0:
        at, smaller = 0, False
        while at + size <= len(tokens) and tries > 0:
            rest = tokens[:at] + tokens[at + size:]
            if rest and balanced(rest):
                tries -= 1
                if fails(" ".join(rest)):
                    tokens, smaller = rest, True
                    continue
            at += 1 if size < 4 else size // 2
        if not smaller or size > 1:
            size = size // 2 if not smaller else min(size, len(tokens) // 2)
    return " ".join(tokens)
