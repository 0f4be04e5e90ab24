#!/usr/bin/env python3
"""Prints what documents and comments name that does not exist: files, folders, tests, functions, maxima.

In documents: what stands in `backticks`, paths, and links. In comments of C: names with the project's prefixes.
A name in "quotes" is one that is made at run time. tests/house runs this from the root of a checkout.
"""
import os
import re
import subprocess

ROOTS = "base config catalog parser router replication backup cli tests docs migrations packaging cmake quickstart".split()
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def tracked():
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout
    return [path for path in listed.splitlines() if os.path.isfile(path)]


def text_of(path):
    with open(path, errors="replace") as file:
        return file.read()


files = tracked()
code = [path for path in files if path.endswith((".c", ".h", ".py", ".cmake", ".txt", ".awk", ".sh")) or "." not in os.path.basename(path)]
words = set(re.findall(r"\w+", "\n".join(COMMENT.sub("", text_of(path)) for path in code if not path.startswith("tests/fuzz/corpus/"))))
names = {os.path.basename(path) for path in files}
stems = {os.path.splitext(path)[0] for path in files}
folders = {path[:at.start()] for path in files for at in re.finditer("/", path)}


def is_there(path):
    """A file, a folder, a file without its ending or by its number, or the end of a file's path."""
    return path in folders or path in stems or os.path.exists(path) or any(p.endswith("/" + path) or p.startswith(path + "-") for p in files)


def of_document(path, name):
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    if re.fullmatch(r"[\w./-]+\.(c|h|py|md|awk|cmake)", name) and not re.search("[A-Z]{4}", os.path.basename(name).removesuffix("README.md")):
        return is_there(name) or is_there(beside)
    if re.fullmatch(r"[\w-]+(/[\w.-]+)+/?", name) and name.split("/")[0] in ROOTS:
        return is_there(name.rstrip("/")) or is_there(beside.rstrip("/"))
    if re.fullmatch(r"\w+_test", name):
        return name + ".c" in names or name in words
    if re.fullmatch(r"(sy|sq|SY|SQ)_\w*[^\W_](\(\))?", name):
        return name.removesuffix("()") in words
    return True


for path in files:
    if path.endswith(".md"):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            named = re.findall(r"`([^`\s]+)`", line) + re.findall(r"(?<!\]\()(?<![\w./`-])(?:%s)/[\w./-]*\w" % "|".join(ROOTS), line)
            for name in named:
                if not of_document(path, name):
                    print(f"{path}:{number} names {name}, which does not exist")
            for link in re.findall(r"\]\(([^)#:\s]+)[)#]", line):
                if not os.path.exists(os.path.join(os.path.dirname(path), link)):
                    print(f"{path}:{number} links to {link}, which does not exist")
    elif path.endswith((".c", ".h")):
        for comment in COMMENT.findall(text_of(path)):
            for name in re.findall(r"(?<![\"\w])(?:sy|sq|SY|SQ)_\w*[^\W_]\b(?![\"*])", comment):
                if name not in words:
                    print(f"{path}: a comment names {name}, which does not exist")
