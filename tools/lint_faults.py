"""Small faults that a reader pays for and a compiler does not see, each by its kind (docs/style.md says why).

assertions   AQ_ASSERT changes nothing: no assignment, no ++, and in the product only calls that look (LOOKS). AQ_MUST is for a
             call that does something. Tests, fuzz targets and doubles assert on whatever they test."""
import re

TESTS = re.compile(r"(_test|_fuzz)\.c$|^test/(?!support/)")
LATER = {"src/adapter/sqlite_store.c"}  # under other work: it follows

# What an assertion may call: nothing of it has an effect, or costs more than a look.
LOOKS = set("""AQ_COUNT UINT64_C __builtin_popcount memcmp strchr strcmp strlen strncmp sizeof
aq_bls_in_subgroup aq_bls_verify aq_buf_bytes aq_bytes_eq aq_duty_eq aq_fork_is_first aq_hash_eq aq_hash_is_zero aq_host_connected
aq_list_empty aq_ssz_check aq_ssz_count aq_tbls_indices_ok blst_p1s_mult_pippenger_scratch_sizeof
blst_p2s_mult_pippenger_scratch_sizeof is_map_entry unsent""".split())
ASSERTION = re.compile(r"\bAQ_(?:DEBUG_)?ASSERT\(")
CHANGES = re.compile(r"\+\+|--|(?<![=!<>])=(?!=)")


def blank(text):
    """The same lines; comments, texts and characters blanked."""
    def spaces(m):
        return re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r"/\*.*?\*/", spaces, text, flags=re.S)
    return re.sub(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", lambda m: m.group()[0] + " " * (len(m.group()) - 2) + m.group()[-1], text)


def closing(text, at):
    """Where the bracket at `at` closes."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    return len(text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def assertions(path, text):
    bad = []
    for m in ASSERTION.finditer(text):
        if text[:m.start()].endswith("#define "):
            continue
        what, line = text[m.end():closing(text, m.end() - 1)], line_of(text, m.start())
        if "#define" in text.split("\n")[line - 1]:
            continue
        plain = re.sub(r"[.]\w+ = ", " ", what)  # the members of a literal
        if CHANGES.search(plain):
            bad.append(f"{path}:{line}: an assertion changes something")
        calls = [c for c in re.findall(r"([A-Za-z_][\w>.-]*)\(", what) if c not in LOOKS]
        if calls and not TESTS.search(path):
            bad.append(f"{path}:{line}: an assertion calls {calls[0]}: AQ_MUST, or a name for LOOKS in tools/lint_faults.py")
    return bad


def check(texts):
    """texts: (path, content) of sources. Findings, one a line."""
    bad = []
    for path, text in texts:
        if path in LATER:
            continue
        text = blank(text)
        bad += assertions(path, text)
    return bad
