"""References between files and pages, for tools/lint.

`core.md 7.3` is a heading of docs/spec/core.md, or point 3 of the list in its section 7; `consensus.md S4` and `contract.md C17` are
rows of a table there; `decision 007` is a file of docs/decisions; `safety.md`, "What is judged" are words of that page. A number,
an invariant or an "Ours" without its page is refused in code, where a reader has no page before him. Names of
pages exist, and in Markdown links and paths of vectors."""
import os, re

# A blank, or the end of a comment's line and the start of the next one.
W = r"(?:[ \t]+|[ \t]*\n[ \t]*(?://|\*(?!/)|#+|;|>)?[ \t]*)"
N = r"[1-9][0-9]?"
DOTTED = rf"{N}(?:\.{N}){{0,2}}"
ITEM = rf"(?:{DOTTED}|[A-Z][0-9]{{1,2}})(?![0-9A-Za-z_%]|\.[0-9]|-[a-z0-9])"
# Numbers that go on after a reference and are none: a unit or a noun follows.
UNIT = rf"(?!{W}%|{W}(?:ms|s|ns|[KMG]i?B|bytes?|bits?|lines?|times|slots?|epochs?|nodes?|rounds?|of|in|more|per|an?|x)\b)"
NEXT = rf"(?:,{W}and{W}|,{W}|;{W}|{W}and{W}|{W}or{W}|{W}to{W}|{W}-{W})(?:sections?{W})?"
REF = re.compile(rf"\b([A-Za-z][A-Za-z_-]*\.md)(?:`|`?\]\([^)\n]*\)|\))?(?:,?{W}sections?)?,?{W}({ITEM}(?:{NEXT}{ITEM}{UNIT})*)")
NUMBER = re.compile(rf"{DOTTED}|[A-Z][0-9]{{1,2}}")
QUOTED = re.compile(rf"\b([A-Za-z][A-Za-z_-]*\.md)(?:`|`?\]\([^)\n]*\)|\))?,?{W}\"([A-Z][^\"]{{2,60}})\"")
DECISION = re.compile(rf"\bdecisions?(?:/|{W})((?:0[0-9]{{2}}(?:,?{W}(?:and{W})?)?)+)")

OTHERS = r"(?:RFCs?|FIPS|Noise|EIP|SEC|BIP|X9|appendix|paper|draft|rev|License)"  # other people's documents have sections too
SECTION = re.compile(rf"(?<![A-Za-z])([Ss]ections?{W}|§ ?)({N}(?:\.{N}){{0,2}})")
PAREN = re.compile(rf"\(({N}(?:\.{N}){{1,2}})\)")

NAKED = re.compile(rf"(?<![-/.\w])(?:beast|cluster|consensus|contract|core|dfba|dkg|tss|validator-api|wire) {N}\.{N}(?![.0-9])")

# What stands for a rule in a comment and does not say where it is written.
WORDS = [
    (re.compile(rf"(?<![A-Za-z-])[Dd]esign(?:\.md)?{W}(?:rule{W})?[0-9]"), "the page is architecture.md"),
    (re.compile(rf"[0-9(],?{W}?\"Ours\""), "\"Ours\" without its page"),
]
BARE = [
    re.compile(rf"\(({N}\.{N}(?:\.{N})?)(?:\)|,? \"| \(|[,;:]{W}(?![0-9]))"),
    re.compile(rf"(?:/\*|//|^[ \t]*\*)[ \t]*-*[ \t]*{N}\.{N}(?:\.{N})?(?:[:,;)]|[ \t]*\*/|{W}(?:step|rule|without|is|says)\b)", re.M),
    re.compile(rf"(?:[Oo]urs|[Ss]trict|[a-z]),{W}{N}\.{N}(?:\.{N})?(?:[:;]|[ \t]*\*/|,{W}(?![0-9])|{W}\()"),
    re.compile(rf"[^.;0-9a-zA-Z-]{N}\.{N}{W}(?:steps?|rules?){W}[0-9]"),
    re.compile(rf"\b(?:texts?|rules?|steps?|list|table|quotas?|order|see){W}(?:of|in|as)?{W}?{N}\.{N}(?:[.;:,)]|{W}|[ \t]*\*/)"),
]
INVARIANT = re.compile(r"(?<![A-Za-z0-9_.-])([SI](?:1[0-2]|[1-9]))(?![A-Za-z0-9_(]|[.-][A-Za-z0-9])")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MD_NAME = re.compile(r"(?<![\w./*<>-])((?:[A-Za-z0-9_.-]+/)*[A-Za-z][A-Za-z0-9_-]*\.md)\b")
VECTOR = re.compile(r"\btest/(?:vectors|e2e|mutants|torture)/[A-Za-z0-9_./-]*[A-Za-z0-9_]")

# Files of other projects that pages name.
FOREIGN = {"docs/TIGER_STYLE.md", "docs/tests/TEST-SUITE.md", "docs/KNOWN_BUGS.md", "docs/reasons.md", "validator.md", "beacon-chain.md",
           "ssz/simple-serialize.md", "simple-serialize.md", "bellatrix/builder.md"}
# They hold examples of what is refused.
OWN = {"tools/lint_refs.py", "test/lint/selftest.py", "LICENSE"}
CODE = (".c", ".h", ".proto")
TOKEN = re.compile(r'(/\*.*?\*/|//[^\n]*)|"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'", re.S)

def anchors(text):
    """Numbers of headings, points of a section's list, names in the first column of tables."""
    out, section = set(), None
    for line in text.split("\n"):
        if line.startswith("#"):
            m = re.match(rf"#+ ({DOTTED})\.?(?: |$)", line)
            section = m.group(1) if m and "." not in m.group(1) else None
            out.update(m.groups() if m else ())
        m = re.match(r"\| ([A-Z][0-9]{1,2}) \||#+ ([A-Z][0-9]{1,2}) ", line)
        if m:
            out.add(m.group(1) or m.group(2))
        m = re.match(rf"({N})\. ", line)
        if m and section:
            out.add(f"{section}.{m.group(1)}")
    return out

def comments(path, text):
    """The comments of code, and the line ends of everything else. Other files are comment throughout."""
    if not path.endswith(CODE):
        return text
    out, at = [], 0
    for m in TOKEN.finditer(text):
        out += ["\n" * text.count("\n", at, m.start()), m.group(1) or ""]
        at = m.end()
    return "".join(out) + "\n" * text.count("\n", at)

class Checker:
    def __init__(self, texts, paths):
        """texts: path -> content of what is looked at; paths: all files there are."""
        self.texts, self.bad, self.refs = texts, [], 0
        self.known = set(paths)
        for p in paths:
            while p := os.path.dirname(p):
                self.known.add(p)
        self.pages = {os.path.basename(p): (p, anchors(t), " ".join(t.split())) for p, t in texts.items()
                      if re.fullmatch(r"(?:docs/)?(?:spec/)?[a-zA-Z_-]+\.md", p) and os.path.basename(p) != "README.md"}
        self.names = {os.path.basename(p) for p in paths if p.endswith(".md")}
        self.decisions = {os.path.basename(p)[:3] for p in paths if p.startswith("docs/decisions/")}

    def say(self, at, what):
        self.bad.append(f"{self.path}:{self.text.count(chr(10), 0, at) + 1}: {what}")

    def references(self, text):
        spans = []
        for m in REF.finditer(text) if ".md" in text else ():
            spans.append(m.span())
            for n in NUMBER.findall(m.group(2)):
                self.refs += 1
                if m.group(1) not in self.pages:
                    self.say(m.start(), f"reference to {m.group(1)} {n}: docs has no such page")
                elif n not in self.pages[m.group(1)][1]:
                    self.say(m.start(), f"dangling reference: {m.group(1)} has no {n}")
        for m in NAKED.finditer(text):
            self.say(m.start(), f"{m.group(0)}: a page is cited by the name of its file")
        for m in QUOTED.finditer(text) if ".md" in text else ():
            self.refs += 1
            words = re.sub(r"\s+(?:\*|//|#)?\s*", " ", m.group(2))
            if m.group(1) in self.pages and words not in self.pages[m.group(1)][2]:
                self.say(m.start(), f"dangling reference: {m.group(1)} does not say \"{words}\"")
        for m in DECISION.finditer(text):
            for n in re.findall(r"[0-9]{3}", m.group(1)):
                self.refs += 1
                if n not in self.decisions:
                    self.say(m.start(), f"dangling reference: there is no decision {n}")
        return spans

    def elsewhere(self, text, m):
        return re.search(OTHERS + r"[^.;\n]*$", text[max(0, m.start() - 60):m.start()])

    def within(self, text, spans):
        """On a page a number without a page is a heading of its own."""
        own = self.pages[os.path.basename(self.path)][1]
        found = list(SECTION.finditer(text)) + [m for m in PAREN.finditer(text) if self.path.startswith("docs/spec/")]
        for m in found:
            if not self.elsewhere(text, m) and not any(a <= m.start() < b for a, b in spans):
                self.refs += 1
                if m.group(m.lastindex) not in own:
                    self.say(m.start(), f"dangling reference: this page has no {m.group(m.lastindex)}")

    def bare(self, text, spans):
        found = [(m, "a number without its page") for m in SECTION.finditer(text) if not self.elsewhere(text, m)]
        found += [(m, why) for pattern, why in WORDS for m in pattern.finditer(text)]
        if self.path.endswith(CODE):
            found += [(m, "a number without its page") for pattern in BARE for m in pattern.finditer(text)]
        found += [(m, "an invariant without its page") for m in INVARIANT.finditer(text)]
        for m, why in found:
            if not any(a < m.end() and m.start() < b for a, b in spans):
                self.say(m.start(), f"{' '.join(m.group(0).split())}: {why}")

    def exists(self, *paths):
        return any(os.path.normpath(p) in self.known for p in paths)

    def links(self, text):
        for m in LINK.finditer(text):
            target = m.group(1).split("#")[0]
            if target and ":" not in target and not self.exists(os.path.join(os.path.dirname(self.path), target)):
                self.say(m.start(), f"link to {target}: there is no such file")

    def named(self, text):
        here = os.path.dirname(self.path)
        for m in MD_NAME.finditer(text):
            name = m.group(1)
            good = name in self.names if "/" not in name else self.exists(name, *(os.path.join(d, name) for d in (here, "docs", "deploy/testnet")))
            if not good and name not in FOREIGN:
                self.say(m.start(), f"{name}: there is no such page")
        for m in VECTOR.finditer(text):
            if not self.exists(m.group(0)) and not re.match(r"[*<]|\.\.|_\*", text[m.end():m.end() + 2]):
                self.say(m.start(), f"{m.group(0)}: there is no such file")

    def run(self):
        for self.path, text in sorted(self.texts.items()):
            self.text = text = comments(self.path, text)
            spans = self.references(text)
            if self.path.endswith((".md", *CODE)):
                self.named(text)
            if self.path.endswith(".md"):
                self.links(text)
                if self.pages.get(os.path.basename(self.path), ("",))[0] == self.path:
                    self.within(text, spans)
            else:
                self.bare(text, spans)
        return self.bad, self.refs

def check(paths):
    """Findings, and how many references were followed."""
    texts = {}
    for p in paths:
        data = p.startswith(("test/vectors/", "test/corpus/", "deploy/testnet/grafana/")) and not p.endswith((".md", ".txt"))
        if data or p in OWN or p.endswith((".json", ".svg", ".csv")):
            continue
        try:
            texts[p] = open(p, encoding="utf-8").read()
        except (UnicodeDecodeError, IsADirectoryError):
            pass
    return Checker(texts, paths).run()
