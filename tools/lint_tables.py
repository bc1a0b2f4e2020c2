"""Duties and forks are rows (src/duty/duty_table.h, src/eth/fork.h): code asks the row. What is checked here: nothing outside
src/eth compares forks, no type of duty is switched over as a number, and few functions name one; tables, tests and fuzz targets
may name what they like."""
import re

FORKS = "PHASE0|ALTAIR|BELLATRIX|CAPELLA|DENEB|ELECTRA|FULU"
COMPARED = re.compile(rf"[<>]=? *AQ_({FORKS})\b|[=!]= *AQ_({FORKS})\b|\bAQ_({FORKS})\b *([<>]=?|[=!]=)")
SWITCHED = re.compile(r"switch \(\(int\)[^)]*\b(type|duty|kind)\b")
NAMED = re.compile(r"\bAQ_DUTY_(?!CNT\b|UNKNOWN\b|MAP\b|OPS\b)[A-Z]+")
TESTS = re.compile(r"(_test|_fuzz)\.c$")
NAMES_MAX = 20


def without_comments(text):
    """The same lines, comments blanked."""
    return re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def functions_naming(path, text):
    """Functions of a file that name a type of duty, tables left out: (line, name)."""
    out, name, at, table = [], None, 0, False
    for i, line in enumerate(text.split("\n"), 1):
        m = None if line.endswith(";") else re.match(r"^[A-Za-z][\w \*]*?\b(\w+)\(", line)
        if m:
            name, at = m.group(1), i
        if re.search(r"\[AQ_DUTY_CNT\] = \{|\}? ?\w*\[\] = \{|^#define X\(", line):
            table = True
        if name and not table and NAMED.search(line) and (not out or out[-1] != (at, name)):
            out.append((at, name))
        if table and re.search(r"\};|^#undef|^#define X\(", line):
            table = False
        if line.startswith("}") or (m and line.rstrip().endswith("}")):
            name = None
    return [(path, line, name) for line, name in out]


def check(texts):
    """texts: (path, content) of sources. Findings."""
    bad, naming = [], []
    for path, text in texts:
        if not path.startswith("src/") or TESTS.search(path):
            continue
        text = without_comments(text)
        for i, line in enumerate(text.split("\n"), 1):
            if COMPARED.search(line) and not path.startswith("src/eth/"):
                bad.append(f"{path}:{i}: forks are not compared: ask aq_fork_of()")
            if SWITCHED.search(line):
                bad.append(f"{path}:{i}: a cast hides a type of duty from the compiler: a row of operations instead")
        naming += functions_naming(path, text)
    if len(naming) > NAMES_MAX:
        bad += [f"{p}:{i}: {name} names a type of duty, and so do over {NAMES_MAX} functions: ask aq_duty_of() or a row"
                for p, i, name in naming]
    return bad
