"""Small faults that a reader pays for and a compiler does not see, each by its kind (docs/style.md says why).

assertions   AQ_ASSERT changes nothing: no assignment, no ++, and in the product only calls that look (LOOKS). AQ_MUST is for a
             call that does something. Tests, fuzz targets and doubles assert on whatever they test.
frees        take NULL: nothing guards their call.
openings     A .c file begins with what it does, in a comment that is not its name again.
json         is written by codec/json_out.h, but where ITS_OWN says why not.
names        What one folder shares with nobody stands in x_internal.h and is included there alone; what a header declares begins with
             aq_ (there: or with the folder's own prefix), and no name ends in an underscore.
sizes        The limit of a buffer, an arena or a document has a name, and the name its reason.
initialisers A struct in which two members could change places without a word from the compiler (numbers, or pointers to one
             type) is made with the members' names, but for rows of a table and ORDERED. Tests as they like.
exports      A function of a header is called by the product, the simulator or a bench, or stands in TESTED with the reason."""
import re

TESTS = re.compile(r"(_test|_fuzz)\.c$|^test/(?!support/)")

# What an assertion may call: nothing of it has an effect, or costs more than a look.
LOOKS = set("""AQ_COUNT UINT64_C __builtin_popcount memcmp strchr strcmp strlen strncmp sizeof
aq_bls_in_subgroup aq_bls_verify aq_buf_bytes aq_bytes_eq aq_duty_eq aq_fork_is_first aq_hash_eq aq_hash_is_zero aq_host_connected
aq_list_empty aq_ssz_check aq_ssz_count aq_tbls_indices_ok blst_p1s_mult_pippenger_scratch_sizeof
blst_p2s_mult_pippenger_scratch_sizeof is_map_entry unsent""".split())
ASSERTION = re.compile(r"\bAQ_(?:DEBUG_)?ASSERT\(")
CHANGES = re.compile(r"\+\+|--|(?<![=!<>])=(?!=)")

DECLARED = re.compile(r"^(?!typedef\b|static\b|return\b|else\b)[A-Za-z][\w \*]*?\b(\w+)\((?!\*)", re.M)
# What nothing but a test calls, and why it is there.
TESTED = {
    "aq_beacon_stats_get": "the judge of the simulated chain, asked without HTTP",
    "aq_conn_is_up": "p2p", "aq_host_bytes": "p2p", "aq_noise_wipe": "p2p",  # under other work
    "aq_definition_hashes": "of a definition file alone, as vectors have them", "aq_definition_leaves": "likewise",
    "aq_definition_load": "likewise", "aq_definition_write": "likewise",
    "aq_http_server_held": "what its limit bounds is seen from inside alone",
    "aq_infosync_plural": "what the cluster agreed on changes nothing yet",
    "aq_log_dropped": "lines and drops are all that was said",
    "aq_loop_set_clock": "a clock that somebody sets",
    "aq_metric_help": "rows of the table, against the contract", "aq_metric_labels": "likewise", "aq_metric_type_of": "likewise",
    "aq_qbft_digest": "vectors name it", "aq_signed_message_root": "vectors name it",
    "aq_rd_be16": "fuzz targets cut their input with it", "aq_rd_copy": "likewise",
    "aq_sandbox_export": "the filter, for an emulator to read",
    "aq_sqlite_turn": "the store without its thread",
    **dict.fromkeys(("aq_stream_credit", "aq_stream_fin", "aq_stream_open", "aq_stream_use", "aq_stream_write", "aq_switch_names",
                     "aq_switch_stranger"), "what ceremonies and a relay take of a switch"),
    "aq_vc_stats_get": "what the client signed, counted from inside",
}

NUMBERS = set("bool char double float int int16_t int32_t int64_t long short size_t uint16_t uint32_t uint64_t uint8_t unsigned".split())
# Whose order everybody knows.
ORDERED = {
    "aq_http_header": "name, value",
    "aq_opt_pair": "key, value",
}


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


def opening(path, text):
    """A line that says nothing of its own (the file's words alone) is none."""
    said = re.match(r"/\*(.*?)\*/", text, re.S)
    stem = set(re.split(r"\W|_", path.lower()))
    own = [w for w in re.findall(r"\w+", said.group(1).lower()) if w not in stem] if said else []
    return [] if len(own) > 1 else [f"{path}:1: no opening line that says what the file does"]


MEMBER = re.compile(r'\b(?:aq_buf_printf|aq_buf_put_str|snprintf)\((?:[^;"]|"(?:\\.|[^"\\])*")*?"(?:\\.|[^"\\])*?\\"[a-z_]+\\" ?:')
ITS_OWN = {
    "src/crypto/keystore.c": "stands below codec",
    "src/adapter/interchange.c": "under other work: it follows",
}


def json(path, text):
    if not path.startswith("src/") or TESTS.search(path) or path in ITS_OWN:
        return []
    return [f"{path}:{line_of(text, m.end())}: JSON by hand: codec/json_out.h" for m in MEMBER.finditer(text)]


def names(path, text):
    bad = []
    if re.search(r"(_int|(^|/)internal)\.h$", path):
        bad.append(f"{path}:1: a folder's own header is x_internal.h")
    if not path.startswith("src/") or TESTS.search(path):
        return bad
    for m in re.finditer(r'^#include "(\w+)/\w+_internal\.h"', text, re.M):
        if m.group(1) != path.split("/")[1]:
            bad.append(f"{path}:{line_of(text, m.start())}: {m.group(1)} keeps that header for itself")
    text = blank(text)
    if path.endswith(".h") and not path.endswith("_internal.h"):
        bad += [f"{path}:{line_of(text, m.start())}: {m.group(1)} is seen by other folders: aq_{m.group(1)}"
                for m in DECLARED.finditer(text) if not m.group(1).startswith("aq_")]
    return bad + [f"{path}:{line_of(text, m.start())}: {m.group()}: no underscore at the end"
                  for m in re.finditer(r"(?<!##)\b[A-Za-z]\w*[A-Za-z0-9]_\b(?! *##)", text)]


def frees(path, text):
    return [f"{path}:{line_of(text, m.start())}: {m.group(2)} takes NULL: no guard"
            for m in re.finditer(r"\bif \(([\w.>-]+)\)\s+(aq_\w+_free|free)\(\1\)", text)]


SIZED = re.compile(r"\b(AQ_BUF|aq_arena_init|aq_json_parse)\(")


def sizes(path, text):
    bad = []
    for m in SIZED.finditer(text):
        given = text[m.end():closing(text, m.end() - 1)]
        if re.search(r"<<|\b\d{3,}u?\b", given):
            bad.append(f"{path}:{line_of(text, m.start())}: a size without a name and its reason")
    return bad


def members(body):
    """Types of a struct's members, what holds functions and other structs left out."""
    while re.search(r"\{[^{}]*\}", body):
        body = re.sub(r"\{[^{}]*\}", " ", body)
    out = []
    for part in body.split(";"):
        first = re.match(r"\s*((?:(?:const|struct|enum|unsigned) )*\w+)\s+((?:\**(?:const )?\*?\w+(?:\[[^\]]*\])*,? *)+)$", " ".join(part.split()))
        if not first or "(" in part:
            continue
        for name in first.group(2).split(","):
            kind = re.sub(r"\bconst |\bstruct ", "", first.group(1)) + "*" * name.count("*")
            out.append("number" if kind in NUMBERS and "[" not in name else kind + ("[]" if "[" in name else ""))
    return out


def structs(text):
    out = {}
    for m in re.finditer(r"\bstruct (?:(\w+) )?\{", text):
        end = closing(text, m.end() - 1)
        name = m.group(1) or ((re.match(r"\}\s*(\w+)\s*;", text[end:]) or [None, None])[1])
        after = re.match(r"\}\s*(\w+)\s*;", text[end:])
        kinds = members(text[m.end():end])
        for n in {name, after and after.group(1)} - {None}:
            out[n] = max((kinds.count(k) for k in set(kinds)), default=0) > 1
    return out


def values(text):
    """What stands between the commas of an initialiser."""
    out, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            out.append(text[last:i].strip())
            last = i + 1
    return [v for v in out + [text[last:].strip()] if v]


def initialisers(texts):
    common, bad = {}, []
    for path, text in texts:
        if path.endswith(".h"):
            common.update(structs(text))
    for path, text in texts:
        if TESTS.search(path):
            continue
        own = {**common, **structs(text)}
        for m in re.finditer(r"\((?:const )?(?:struct )?(\w+)\)\{|\b(?:struct )?(\w+) \w+ = \{", text):
            kind = m.group(1) or m.group(2)
            given = values(text[m.end():closing(text, m.end() - 1)])
            if own.get(kind) and kind not in ORDERED and len(given) > 1 and not given[0].startswith("."):
                bad.append(f"{path}:{line_of(text, m.start())}: {kind} by position, though members could change places: name them")
    return bad


def exports(texts):
    declared, named = {}, {}
    for path, text in texts:
        if TESTS.search(path) or path.startswith("test/"):
            continue
        for word in re.findall(r"\w+", text):
            named[word] = named.get(word, 0) + 1
        if path.startswith("src/") and path.endswith(".h"):
            for m in DECLARED.finditer(text):
                declared.setdefault(m.group(1), (path, line_of(text, m.start())))
    alone = {n for n in declared if named[n] <= 2}  # here, and where it is defined
    return ([f"{declared[n][0]}:{declared[n][1]}: nobody calls {n} but tests, if those" for n in sorted(alone - set(TESTED))] +
            [f"tools/lint_faults.py: TESTED names {n}, which is called or gone" for n in sorted(set(TESTED) - alone)
             if len(texts) > 100])  # of the whole tree


def check(texts):
    """texts: (path, content) of sources. Findings, one a line."""
    bad = []
    plain = [(path, blank(text)) for path, text in texts]
    for path, text in texts:
        bad += names(path, text) + json(path, text)
        if path.endswith(".c"):
            bad += opening(path, text)
    for path, text in plain:
        bad += assertions(path, text)
        if not TESTS.search(path):
            bad += frees(path, text) + sizes(path, text)
    return bad + initialisers(plain) + exports(plain)
