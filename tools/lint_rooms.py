"""The rooms of src (src/rooms): a product file includes only what its room may, no room may what it does not, and none is
larger than a reader can hold. Tests, fuzz targets and doubles may include any."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTS = re.compile(r"(_test|_fuzz)\.c$")
LINES_MAX = 3500
LARGE = {"adapter", "p2p"}  # one a port of the system's, one a transport of seven protocols


def rooms(path=os.path.join(ROOT, "src/rooms")):
    """{room: what it may include}, lowest first."""
    out = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"([a-z0-9]+):(.*)", line)
            if m:
                out[m.group(1)] = m.group(2).split()
    return out


def check(texts, table=None):
    """texts: (path, text) of sources. Findings, one a line."""
    table = table or rooms()
    bad, used, lines = [], {r: set() for r in table}, dict.fromkeys(table, 0)
    seen = []
    for room, may in table.items():
        bad += [f"src/rooms: {room} may include {r}, which does not stand before it" for r in may if r not in seen]
        seen.append(room)
    for path, text in texts:
        m = re.match(r"src/(\w+)/", path)
        if not m:
            continue
        room = m.group(1)
        if room not in table:
            bad.append(f"{path}: {room} is no row of src/rooms")
            continue
        if TESTS.search(path):
            continue
        lines[room] += text.count("\n")
        for i, line in enumerate(text.split("\n"), 1):
            other = re.match(r'#include "(\w+)/', line)
            if not other or other.group(1) == room or other.group(1) not in {*table, "fake"}:
                continue
            used[room].add(other.group(1))
            if other.group(1) not in table[room]:
                bad.append(f"{path}:{i}: {room} must not include {other.group(1)} (src/rooms)")
    for room, may in table.items():
        bad += [f"src/rooms: {room} may include {r}, and does not" for r in may if lines[room] and r not in used[room]]
        if lines[room] > LINES_MAX and room not in LARGE:
            bad.append(f"src/{room}: {lines[room]} lines, at most {LINES_MAX}")
    return bad
