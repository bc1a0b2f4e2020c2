"""The part of YAML that our compose files use: nested maps and lists by indentation, one-line scalars, flow lists and maps, comments.
Whatever else is met is an error, never a guess."""
import re

class Bad(Exception):
    pass

def _strip(line):
    """The line without its comment."""
    quote = None
    for i, c in enumerate(line):
        if quote:
            quote = None if c == quote else quote
        elif c in "\"'" and (i == 0 or not line[i - 1].isalnum()):
            quote = c
        elif c == "#" and (i == 0 or line[i - 1] in " \t"):
            return line[:i].rstrip()
    return line.rstrip()

def _open(text):
    bare = re.sub(r"\"[^\"]*\"|'[^']*'|\$\{[^}]*\}", "", text)
    return bare.count("[") + bare.count("{") > bare.count("]") + bare.count("}")

def _scalar(text):
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if text[0] in "&*!|>%@`":
        raise Bad(f"not understood: {text}")
    return text

def _flow(text):
    items, pos = re.findall(r"\"[^\"]*\"|'[^']*'|[\[\]{}]|,|:(?=\s)|(?:\$\{[^}]*\}|:(?!\s)|[^\[\]{},:])+", text), 0
    items = [i.strip() for i in items if i.strip()]
    def value():
        nonlocal pos
        t = items[pos]
        pos += 1
        if t == "[":
            out = []
            while items[pos] != "]":
                out.append(value())
                if items[pos] == ",":
                    pos += 1
            pos += 1
            return out
        if t == "{":
            out = {}
            while items[pos] != "}":
                key = value()
                if items[pos] != ":":
                    raise Bad(f"a map without values: {text}")
                pos += 1
                out[key] = value()
                if items[pos] == ",":
                    pos += 1
            pos += 1
            return out
        return _scalar(t)
    out = value()
    if pos != len(items):
        raise Bad(f"not understood: {text}")
    return out

def _value(text):
    return _flow(text) if text[:1] in "[{" else _scalar(text)

def load(text):
    lines = []
    for raw in text.split("\n"):
        line = _strip(raw)
        if lines and _open(lines[-1][1]):
            lines[-1] = (lines[-1][0], lines[-1][1] + " " + line.strip())
        elif line.strip():
            lines.append((len(line) - len(line.lstrip()), line.strip()))
    pos = 0
    def block(indent):
        nonlocal pos
        out = None
        while pos < len(lines) and lines[pos][0] >= indent:
            at, line = lines[pos]
            if at != indent:
                raise Bad(f"indentation: {line}")
            pos += 1
            if line.startswith("- "):
                out = [] if out is None else out
                out.append(_value(line[2:].strip()))
                continue
            m = re.match(r"(\"[^\"]*\"|[^\s:\[{][^:]*):(?:\s+(.*))?$", line)
            if not m:
                raise Bad(f"not understood: {line}")
            out = {} if out is None else out
            key, rest = _scalar(m[1]), m[2]
            if rest:
                out[key] = _value(rest)
            elif pos < len(lines) and lines[pos][0] > indent:
                out[key] = block(lines[pos][0])
            else:
                out[key] = None
        return out
    return block(lines[0][0]) if lines else None
