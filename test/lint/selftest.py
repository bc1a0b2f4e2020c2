#!/usr/bin/env python3
"""The check of references (tools/lint_refs.py), on a tree of ten small files.

Goal: what leads nowhere is found with its file and line, in each form in which references are written, across the ends of
lines, and what is none is left alone. Method: pages and code written by hand, and for each line of code what is to be said of it.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
import lint_refs

PAGES = {
    "docs/spec/core.md": """# Core
## 1. Duties
see (1), section 2.1, RFC 9110 section 15, and `wire.md` 3
### 1.1 Kinds
#### 1.1.4 The fourth
## 2. Points
1. one
2. two
### 2.1 More
7. no point of section 2
| rule | |
| S1 | never twice |
| C17 | window |
""",
    "docs/spec/wire.md": "# Wire\n## 3. Streams\nas in section 1.9, (2.2) or [core](core.md) 1.1, [gone](lost.md)\n",
    "docs/safety.md": "# Safety\n## What is judged before\nsee `docs/none.md`, decision 001 and 009, `test/vectors/a/b.json` and `test/vectors/a/c.json`\n",
    "docs/decisions/001-first.md": "# 001 First\n",
    "test/vectors/a/b.json": "{}",
}
# What is found on the pages themselves.
ON_PAGES = """
docs/safety.md:3: dangling reference: there is no decision 009
docs/safety.md:3: docs/none.md: there is no such page
docs/safety.md:3: test/vectors/a/c.json: there is no such file
docs/spec/wire.md:3: dangling reference: this page has no 1.9
docs/spec/wire.md:3: dangling reference: this page has no 2.2
docs/spec/wire.md:3: link to lost.md: there is no such file
docs/spec/wire.md:3: lost.md: there is no such page
"""
# One file of code each, the finding that it must make or "": none; {} is the file and line.
CODE = [
    ("/* core.md 1.1 */", ""),
    ("/* core.md 1.1, 2.1 and 2 */", ""),
    ("/* core.md 1.1 to 1.1.4; wire.md 3. */", ""),
    ("/* points of a list: core.md 2.2 */", ""),
    ("/* core.md S1, C17 */", ""),
    ("/* core.md, section 1.1 */", ""),
    ("/* a line ends here: core.md\n   1.1 */", ""),
    ("// and here: core.md\n// 1.1", ""),
    ("/* core.md 1, 64 bytes each */", ""),
    ("/* core.md 1, 25 % of a core */", ""),
    ("/* safety.md, \"What is judged\", decision 001 */", ""),
    ("/* safety.md, \"What is\n   judged\" */", ""),
    ("/* RFC 9112, 2.2; RFC 9110 section 5.6; Noise rev 34, section 4.3 */", ""),
    ("/* core.md 1.1 \"Ours\" */", ""),
    ("/* after 2.5 s, in (2.5) s of libuv 1.44 */ f(7.3);", "{}:1: (2.5): a number without its page"),
    ("const char *s = \"(7.3) S1 core.md 9\"; char c = '\"'; /* S-1, IPv4, I64 */", ""),
    ("/* core.md 9 */", "{}:1: dangling reference: core.md has no 9"),
    ("/* core.md 2.7 */", "{}:1: dangling reference: core.md has no 2.7"),
    ("/* core.md 1.1 and 1.2 */", "{}:1: dangling reference: core.md has no 1.2"),
    ("/* core.md S2 */", "{}:1: dangling reference: core.md has no S2"),
    ("int x;\n/* see core.md\n   9.9 */", "{}:2: dangling reference: core.md has no 9.9"),
    ("/* kernel.md 1 */", "{}:1: reference to kernel.md 1: docs has no such page"),
    ("/* safety.md, \"What is lost\" */", "{}:1: dangling reference: safety.md does not say \"What is lost\""),
    ("/* see lost.md */", "{}:1: lost.md: there is no such page"),
    ("/* see docs/safety.md and core.md */", ""),
    ("/* decision 002 */", "{}:1: dangling reference: there is no decision 002"),
    ("/* as core 1.1 says */", "{}:1: core 1.1: a page is cited by the name of its file"),
    ("/* refused (4.6). */", "{}:1: (4.6): a number without its page"),
    ("/* refused (4.6, as before) */", "{}:1: (4.6,: a number without its page"),
    ("/* 7.3: what was sent */", "{}:1: /* 7.3:: a number without its page"),
    ("/* 6.1 step 5 */", "{}:1: /* 6.1 step: a number without its page"),
    ("/* the share, as 6.1 step 5 has it */", "{}:1: 6.1 step 5: a number without its page"),
    ("/* the texts of 2.2. */", "{}:1: texts of 2.2.: a number without its page"),
    ("int a; /* instances, 2.3 */", "{}:1: s, 2.3 */: a number without its page"),
    ("/* as section 3 says */", "{}:1: section 3: a number without its page"),
    ("/* § 3 */", "{}:1: § 3: a number without its page"),
    ("/* Design 7 */", "{}:1: Design 7: the page is architecture.md"),
    ("/* goes first (3, \"Ours\") */", "{}:1: 3, \"Ours\": \"Ours\" without its page"),
    ("AQ_ASSERT(x); /* S4 */", "{}:1: S4: an invariant without its page"),
    ("/* the journal alone: I8. */", "{}:1: I8: an invariant without its page"),
]

def run(texts):
    return lint_refs.Checker(texts, list(texts)).run()

def main():
    wrong = 0
    bad, refs = run(PAGES)
    if sorted(bad) != sorted(ON_PAGES.strip().split("\n")):
        wrong += 1
        print("on pages:", *sorted(bad), sep="\n  ")
    if refs != 8:
        wrong += 1
        print(f"{refs} references on the pages, not 8")
    for text, want in CODE:
        bad = [b for b in run({**PAGES, "src/x.c": text})[0] if b.startswith("src/x.c")]
        if want.format("src/x.c") not in (bad[:1] or [""]) or (not want and bad):
            wrong += 1
            print(f"{text!r}: {bad}, not {want!r}")
    # Other kinds of files are comment throughout; numbers in them are no sections, words are.
    for path, text, cnt in (("tools/x.py", "x = 1.5  # (2.5) of section 3\n", 1), ("test/e2e/x.py", '"""core.md 7."""\n', 1)):
        bad = [b for b in run({**PAGES, path: text})[0] if b.startswith(path)]
        if len(bad) != cnt:
            wrong += 1
            print(f"{path}: {bad}")
    print(f"{len(CODE) + 4} cases, {wrong} wrong")
    return 1 if wrong else 0

sys.exit(main())
