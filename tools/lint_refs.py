"""References between files and pages, for tools/lint. `core.md 7.3` is a heading of docs/spec/core.md, `consensus.md S4` and
`contract.md C17` are rows of a table there; a number without a page is refused where a reader has no page before him; links and
names of pages in Markdown exist."""
import os, re

# A blank, or the end of a comment's line and the start of the next one.
W = r"(?:[ \t]+|[ \t]*\n[ \t]*(?://|\*(?!/)|#+|;)?[ \t]*)"
ITEM = r"(?:[0-9]{1,2}(?:\.[0-9]{1,2}){0,2}|[A-Z][0-9]{1,2})(?![0-9A-Za-z_%]|\.[0-9]|-[a-z0-9])"
# Numbers that go on after a reference and are none: a unit or a name follows.
UNIT = rf"(?!{W}(?:ms|s|ns|%|[KMG]i?B|bytes?|bits?|lines?|times|slots?|epochs?|nodes?|rounds?|of|in|more|per|a|an|x)\b)"
NEXT = rf"(?:,{W}and{W}|,{W}|;{W}|{W}and{W}|{W}or{W}|{W}to{W}|{W}-{W})(?:section{W})?"
REF = re.compile(rf"\b([A-Za-z][A-Za-z_-]*\.md)(?:`|\)|\]\([^)\n]*\))?(?:,?{W}sections?)?,?{W}({ITEM}(?:{NEXT}{ITEM}{UNIT})*)")
NUMBER = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,2}){0,2}|[A-Z][0-9]{1,2}")

OUTSIDE = r"(?:RFCs?|FIPS|Noise|EIP|SEC|BIP|X9|appendix|paper|draft|rev)"  # other people's documents have sections too
SECTION = re.compile(rf"(?<![A-Za-z])([Ss]ections?{W}|§ ?)([0-9]{{1,2}}(?:\.[0-9]{{1,2}}){{0,2}})")
PAREN = re.compile(r"\(([1-9][0-9]?(?:\.[0-9]{1,2}){1,2})\)")

# What stands for a rule in a comment and says nothing of where it is written.
BARE = [
    (re.compile(rf"(?<![A-Za-z-])[Dd]esign(?:\.md)?{W}(?:rule{W})?[0-9]"), "the page is architecture.md"),
    (re.compile(r"\((?:[^()\n]{0,40}[ ,;])?([1-9][0-9]?\.[0-9]{1,2}(?:\.[0-9])?)(?:\)|,? \"| \(|[,;:] (?![0-9]))"), "a number without its page"),
    (re.compile(r"(?:/\*|//|^\s*\*)[ \t]*-*[ \t]*[1-9][0-9]?\.[0-9]{1,2}(?:\.[0-9])?(?:[:,;)]|[ \t]*\*/|[ \t]+(?:step|rule|\"))"), "a number without its page"),
    (re.compile(rf"[0-9\])a-z]\"?,?{W}\"Ours\""), "\"Ours\" of which page"),
]
INVARIANT = re.compile(r"(?<![A-Za-z0-9_.-])([SI](?:1[01]|[1-9]))(?![A-Za-z0-9_(.-])")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MD_NAME = re.compile(r"(?<![\w./*<>-])((?:[A-Za-z0-9_.-]+/)*[A-Za-z][A-Za-z0-9_-]*\.md)\b")
VECTOR = re.compile(r"\btest/(?:vectors|e2e|mutants|torture)/[A-Za-z0-9_./-]*[A-Za-z0-9_]")

def line_of(text, at):
    return text.count("\n", 0, at) + 1

def anchors(text):
    """Numbers of the headings, and names in the first column of tables."""
    out = set()
    for line in text.split("\n"):
        m = re.match(r"#+ ([0-9]+(?:\.[0-9]+)*)\.?(?: |$)", line) or re.match(r"(?:\| |#+ )([A-Z][0-9]{1,2})(?: |$)", line)
        if m:
            out.add(m.group(1))
    return out

def comments(path, text):
    """The comments, everything else blank, lines kept. Markdown and text are comment throughout."""
    if path.endswith((".c", ".h", ".proto")):
        keep = r'/\*.*?\*/|//[^\n]*'
        skip = r'"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'"
        out, at = [], 0
        for m in re.finditer(f"({keep})|{skip}", text, re.S):
            out.append(re.sub(r"[^\n]", " ", text[at:m.start()]))
            out.append(m.group(0) if m.group(1) else re.sub(r"[^\n]", " ", m.group(0)))
            at = m.end()
        out.append(re.sub(r"[^\n]", " ", text[at:]))
        return "".join(out)
    return text

class Checker:
    def __init__(self, texts):
        """texts: path -> content of all files that are looked at."""
        self.texts, self.bad, self.refs = texts, [], 0
        self.pages = {}
        for path, text in texts.items():
            if re.fullmatch(r"docs/(spec/)?[a-zA-Z_-]+\.md", path) and os.path.basename(path) != "README.md":
                self.pages[os.path.basename(path)] = (path, anchors(text))
        self.names = {os.path.basename(p) for p in texts if p.endswith(".md")}

    def say(self, path, text, at, what):
        self.bad.append(f"{path}:{line_of(text, at)}: {what}")

    def references(self, path, text):
        spans = []
        for m in REF.finditer(text):
            spans.append(m.span())
            for n in NUMBER.findall(m.group(2)):
                self.refs += 1
                if m.group(1) not in self.pages:
                    self.say(path, text, m.start(), f"reference to {m.group(1)} {n}: there is no such page in docs")
                elif n not in self.pages[m.group(1)][1]:
                    self.say(path, text, m.start(), f"dangling reference: {m.group(1)} has no {n}")
        return spans

    def within(self, path, text, spans):
        """On a page of its own a number is a heading of that page."""
        own = self.pages[os.path.basename(path)][1]
        for m in SECTION.finditer(text):
            if any(a <= m.start() < b for a, b in spans) or re.search(OUTSIDE + r"[^.;\n]*$", text[max(0, m.start() - 60):m.start()]):
                continue
            self.refs += 1
            if m.group(2) not in own:
                self.say(path, text, m.start(), f"dangling reference: this page has no {m.group(2)}")
        for m in PAREN.finditer(text) if path.startswith("docs/spec/") else ():
            if not any(a <= m.start() < b for a, b in spans):
                self.refs += 1
                if m.group(1) not in own:
                    self.say(path, text, m.start(), f"dangling reference: this page has no {m.group(1)}")

    def bare(self, path, text, spans):
        def free(m):
            return not any(a < m.end() and m.start() < b for a, b in spans)
        for m in SECTION.finditer(text):
            if free(m) and not re.search(OUTSIDE + r"[^.;\n]*$", text[max(0, m.start() - 60):m.start()]):
                self.say(path, text, m.start(), f"{m.group(0)}: a number without its page")
        for pattern, why in BARE:
            for m in pattern.finditer(text):
                if free(m):
                    self.say(path, text, m.start(), f"{' '.join(m.group(0).split())}: {why}")
        for m in INVARIANT.finditer(text):
            if free(m):
                self.say(path, text, m.start(), f"{m.group(1)}: an invariant without its page")

    def links(self, path, text):
        here = os.path.dirname(path)
        known = lambda p: p in self.texts or any(q.startswith(p.rstrip("/") + "/") for q in self.texts)
        for m in LINK.finditer(text):
            target = m.group(1).split("#")[0]
            if target and "://" not in target and not target.startswith("mailto:") and not known(os.path.normpath(os.path.join(here, target))):
                self.say(path, text, m.start(), f"link to {target}: there is no such file")
        for m in MD_NAME.finditer(text):
            name = m.group(1)
            if "/" in name and not any(known(os.path.normpath(os.path.join(b, name))) for b in (here, "", "docs", "deploy/testnet")):
                self.say(path, text, m.start(), f"{name}: there is no such file")
            elif "/" not in name and name not in self.names and name not in FOREIGN:
                self.say(path, text, m.start(), f"{name}: there is no such page")
        for m in VECTOR.finditer(text):
            tail = text[m.end():m.end() + 3]
            if not known(m.group(0)) and not tail.startswith(("*", "<", "..", "_*")):
                self.say(path, text, m.start(), f"{m.group(0)}: there is no such file")

    def run(self):
        for path, text in sorted(self.texts.items()):
            if path.startswith(("test/vectors/", "test/corpus/")) and not path.endswith((".md", ".txt")):
                continue
            if path in OWN:
                continue
            shown = comments(path, text)
            spans = self.references(path, shown)
            if path.endswith(".md"):
                self.links(path, text)
                if os.path.basename(path) in self.pages and self.pages[os.path.basename(path)][0] == path:
                    self.within(path, text, spans)
            elif path.endswith((".c", ".h", ".proto", ".py", ".sh", ".txt", ".cmake", ".mjs")) or "." not in os.path.basename(path):
                self.bare(path, shown, spans)
        return self.bad

# Pages of other projects that are named here without a number.
FOREIGN = {"validator.md", "beacon-chain.md", "p2p-interface.md", "fork-choice.md"}
OWN = {"tools/lint_refs.py", "tools/lint", "test/lint/selftest.py"}

def check(paths):
    """Findings, and how many references were followed."""
    texts = {}
    for p in paths:
        try:
            texts[p] = open(p, encoding="utf-8").read()
        except (UnicodeDecodeError, IsADirectoryError):
            texts[p] = ""
    c = Checker(texts)
    return c.run(), c.refs
