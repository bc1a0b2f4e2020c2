"""Small changes to a C file by rule, on its syntax tree (libclang through Debian's python3-clang).

sites(path, flags) gives every change that a rule allows in the functions and enums of one file, in the file's order;
Site.apply(text) makes it. A change keeps the number of lines. Left alone: what stands inside function-like macros
(assertions, log lines, units of time), strings, array sizes, `{0}`, the formatted arguments of variadic functions, how
large an arena is, and what happens when the heap is exhausted (./dev torture refuses allocations).

  operator   < and <=, > and >=, == and !=, && and ||, + and -, * and /, & and |, << and >>, their assignments, `!` lost
  constant   an integer one more or one less, true and false; `return AQ_E_...` becomes success
  condition  negated; one side of && or || gone; an `if` of several statements never entered; ?: the other way round
  call       a call whose result nobody takes is gone
  argument   two neighbours of one type change places (not where a function is symmetric by its name)
  return     a function returns at once: nothing, false, true, 0, NULL
  statement  an assignment, a step, a return, break or continue is gone
"""
import bisect
import os
import re

from clang import cindex

RULES = ("operator", "constant", "condition", "call", "argument", "return", "statement")
K = cindex.CursorKind
T = cindex.TypeKind
SWAP = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+", "*": "/",
        "/": "*", "%": "/", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=",
        "<<=": ">>=", ">>=": "<<="}
STEP = ("++", "--")
SYMMETRIC = re.compile(r"(_eq|_equal|_same|memcmp|_min|_max)$|^same_|^calloc$|^aq_arena_array$")
FROM_HEAP = re.compile(r"([\w>.-]+) = (calloc|malloc|realloc)\(")
INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)([uUlL]*)")
NUMBERS = {T.INT, T.UINT, T.LONG, T.ULONG, T.LONGLONG, T.ULONGLONG, T.SHORT, T.USHORT, T.CHAR_S, T.SCHAR, T.UCHAR, T.ENUM}


class Site:
    def __init__(self, file, function, rule, line, start, end, new):
        self.file, self.function, self.rule, self.line = file, function, rule, line
        self.start, self.end, self.new = start, end, new

    def apply(self, text):
        """`text` is the file in bytes, as the offsets are; so is the result."""
        lost = text[self.start:self.end].count(b"\n") - self.new.count("\n")
        return text[:self.start] + self.new.encode() + b"\n" * lost + text[self.end:]

    def change(self, text):
        """(old lines, new lines), bare of blanks at their ends; with those before while the file has the same again."""
        new = self.apply(text)
        first = text.rfind(b"\n", 0, self.start) + 1
        last = text.find(b"\n", self.end)
        tail = len(text) - last
        for _ in range(4):
            if first == 0 or text.count(text[first - 1:last + 1]) == 1:
                break
            first = text.rfind(b"\n", 0, first - 1) + 1

        def lines(part):
            return [s for s in (line.strip() for line in part.decode().split("\n")) if s]
        return lines(text[first:last]), lines(new[first:len(new) - tail])


class Ranges:
    """Whether an extent touches one of these."""

    def __init__(self, pairs):
        self.pairs = sorted(pairs)
        self.starts = [a for a, _ in self.pairs]

    def touch(self, start, end):
        at = bisect.bisect_left(self.starts, end)
        # Expansions nest, so the one before need not be the longest; there are few a line.
        return any(b > start for _, b in self.pairs[max(0, at - 12):at])


class Walk:
    def __init__(self, unit, file, text):
        self.file, self.text, self.out, self.function = file, text, [], ""
        self.path = unit.spelling
        macros, self.truths = [], []
        for c in unit.cursor.get_children():
            if c.kind == K.MACRO_INSTANTIATION and self.mine(c):
                a, b = self.extent(c)
                if text[b - 1:b] == b")" and c.spelling != "AQ_LIST_EACH":
                    macros.append((a, b))
                elif c.spelling in ("true", "false"):
                    self.truths.append((a, b, c.spelling))
            elif c.kind == K.MACRO_DEFINITION and self.mine(c):
                macros.append(self.extent(c))
        self.macros = Ranges(macros)
        self.each = Ranges([self.extent(c) for c in unit.cursor.get_children()
                            if c.kind == K.MACRO_INSTANTIATION and c.spelling == "AQ_LIST_EACH" and self.mine(c)])
        for c in unit.cursor.get_children():
            if not self.mine(c):
                continue
            if c.kind == K.FUNCTION_DECL and c.is_definition():
                self.function_body(c)
            elif c.kind == K.ENUM_DECL:
                self.function = ""
                self.numbers(c)

    def mine(self, c):
        return c.location.file is not None and c.location.file.name == self.path

    @staticmethod
    def extent(c):
        return c.extent.start.offset, c.extent.end.offset

    def of(self, c):
        a, b = self.extent(c)
        return self.text[a:b].decode()

    def add(self, rule, line, start, end, new):
        if start > end or self.macros.touch(start, max(end, start + 1)) or self.each.touch(start, max(end, start + 1)):
            return
        self.out.append(Site(self.file, self.function, rule, line, start, end, new))

    # ---- functions ----

    def function_body(self, f):
        body = [c for c in f.get_children() if c.kind == K.COMPOUND_STMT]
        if not body or self.macros.touch(*self.extent(body[0])) and self.extent(body[0])[0] == self.extent(f)[0]:
            return
        self.function, body = f.spelling, body[0]
        start, end = self.extent(body)
        statements = list(body.get_children())
        if not (len(statements) == 1 and statements[0].kind == K.RETURN_STMT and not statements[0].get_arguments() and
                len(self.of(statements[0])) < 16):
            for new in self.early(f.result_type.get_canonical()):
                self.add("return", statements[0].extent.start.line if statements else body.extent.start.line, start + 1,
                         start + 1, f" {new}")
        self.last = statements[-1].extent.start.offset if statements else -1
        self.visit(body, None)
        for a, b, word in self.truths:
            if start <= a < end:
                line = self.text.count(b"\n", 0, a) + 1
                self.add("constant", line, a, b, "false" if word == "true" else "true")

    @staticmethod
    def early(kind):
        if kind.kind == T.VOID:
            return ["return;"]
        if kind.kind == T.BOOL:
            return ["return false;", "return true;"]
        if kind.kind == T.POINTER:
            return ["return NULL;"]
        return ["return 0;"] if kind.kind in NUMBERS else []

    # ---- statements and expressions ----

    def visit(self, c, parent):
        kind = c.kind
        if kind == K.COMPOUND_STMT:
            for s in c.get_children():
                self.statement(s, False)
        elif kind == K.IF_STMT:
            self.if_statement(list(c.get_children()))
        elif kind in (K.FOR_STMT, K.WHILE_STMT, K.DO_STMT):
            for s in c.get_children():
                if s.kind != K.COMPOUND_STMT and s.extent.end.offset == c.extent.end.offset:
                    self.statement(s, True)
        elif kind in (K.CASE_STMT, K.DEFAULT_STMT):
            self.statement(list(c.get_children())[-1], True)
            if kind == K.CASE_STMT:
                for s in list(c.get_children())[1:]:
                    self.visit(s, c)
                return
        elif kind in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR):
            self.binary(c)
        elif kind == K.UNARY_OPERATOR and self.of(c).startswith("!"):
            a, _ = self.extent(c)
            self.add("operator", c.extent.start.line, a, a + 1, "")
        elif kind == K.CONDITIONAL_OPERATOR:
            self.negate(next(c.get_children()))
        elif kind == K.CALL_EXPR and c.spelling != "aq_arena_init":
            self.arguments(c)
        elif kind == K.INTEGER_LITERAL:
            self.integer(c)
        elif kind == K.RETURN_STMT:
            self.status(c)
        elif kind == K.INIT_LIST_EXPR and re.fullmatch(r"\{\s*0\s*\}", self.of(c)):
            return
        elif kind == K.CXX_UNARY_EXPR:  # sizeof
            return
        elif kind == K.CALL_EXPR and c.spelling == "aq_arena_init":
            return
        before = ""
        for s in c.get_children():
            if kind == K.COMPOUND_STMT:
                heap, before = FROM_HEAP.search(before), self.of(s)
                if heap and s.kind == K.IF_STMT and self.of(next(s.get_children())) == "!" + heap.group(1):
                    continue
            if kind == K.VAR_DECL and s.kind == K.INTEGER_LITERAL and c.type.kind in (T.CONSTANTARRAY, T.INCOMPLETEARRAY):
                continue
            self.visit(s, c)

    def if_statement(self, parts):
        condition, bodies = parts[0], parts[1:]
        self.negate(condition)
        many = len(bodies) > 1 or (bodies[0].kind == K.COMPOUND_STMT and len(list(bodies[0].get_children())) > 1)
        if many:
            a, b = self.extent(condition)
            self.add("condition", condition.extent.start.line, a, b, f"false && ({self.of(condition)})")
        for s in bodies:
            if s.kind != K.COMPOUND_STMT:
                self.statement(s, True)

    def negate(self, condition):
        a, b = self.extent(condition)
        text = self.of(condition)
        # `!x` and a comparison by == or != are the operator rule's.
        if text.startswith("!") and condition.kind == K.UNARY_OPERATOR:
            return
        if condition.kind == K.BINARY_OPERATOR and self.operator(condition)[0] in ("==", "!="):
            return
        self.add("condition", condition.extent.start.line, a, b, f"!({text})")

    def statement(self, s, alone):
        """A statement of its own that can go. `alone`: it is the whole body of an if or a loop."""
        kind = s.kind
        a, b = self.extent(s)
        line = s.extent.start.line
        inner = s
        if kind == K.CSTYLE_CAST_EXPR and s.type.kind == T.VOID:
            inner = list(s.get_children())[-1]
        if inner.kind == K.CALL_EXPR:
            self.add("call", line, a, b, "(void)0")
        elif kind in (K.BREAK_STMT, K.CONTINUE_STMT):
            self.add("statement", line, a, b, "(void)0")
        elif kind == K.RETURN_STMT:
            if a != self.last:
                self.add("statement", line, a, b, "(void)0")
        elif kind == K.COMPOUND_ASSIGNMENT_OPERATOR or kind == K.UNARY_OPERATOR or \
                (kind == K.BINARY_OPERATOR and self.operator(s)[0] in ("=", ",")):
            self.add("statement", line, a, b, "(void)0")

    def operator(self, c):
        """(text, offset of the operator); ("", 0) where a macro hides it."""
        sides = list(c.get_children())
        if len(sides) != 2:
            return "", 0
        a, b = sides[0].extent.end.offset, sides[1].extent.start.offset
        between = re.sub(rb"/\*.*?\*/", lambda m: b" " * len(m.group()), self.text[a:b], flags=re.S) if a < b else b""
        word = between.strip()
        return (word.decode(), a + between.index(word)) if word else ("", 0)

    def binary(self, c):
        op, at = self.operator(c)
        new = SWAP.get(op)
        if new:
            line = self.text.count(b"\n", 0, at) + 1
            self.add("operator", line, at, at + len(op), new)
        if op in ("&&", "||"):
            a, b = self.extent(c)
            left, right = c.get_children()
            self.add("condition", right.extent.start.line, self.extent(left)[1], b, "")
            self.add("condition", left.extent.start.line, a, self.extent(right)[0], "")

    def arguments(self, c):
        args = list(c.get_arguments())
        fixed = len(args)
        called = c.referenced
        if called is not None and called.kind == K.FUNCTION_DECL:
            fixed = len(list(called.get_arguments()))
        if SYMMETRIC.search(c.spelling or ""):
            return
        for x, y in zip(args[:fixed], args[1:fixed]):
            if x is None or y is None or x.type.get_canonical().spelling != y.type.get_canonical().spelling:
                continue
            one, two = self.of(x), self.of(y)
            if one == two or not one or not two:
                continue
            a, b = self.extent(x)[0], self.extent(y)[1]
            gap = self.text[self.extent(x)[1]:self.extent(y)[0]].decode()
            if gap.strip() == ",":
                self.add("argument", x.extent.start.line, a, b, two + gap + one)

    def integer(self, c):
        a, b = self.extent(c)
        found = INTEGER.fullmatch(self.text[a:b].decode())
        if not found:
            return
        text = found.group(1)
        value = int(text, 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" and len(text) > 1 else 10)
        self.add("constant", c.extent.start.line, a, b, f"{value + 1}{found.group(2)}")
        if value > 0:
            self.add("constant", c.extent.start.line, a, b, f"{value - 1}{found.group(2)}")

    def status(self, c):
        for s in c.get_children():
            a, b = self.extent(s)
            if re.fullmatch(rb"AQ_E_\w+", self.text[a:b]):
                self.add("constant", c.extent.start.line, a, b, "AQ_OK")

    def numbers(self, c):
        if c.kind == K.INTEGER_LITERAL:
            self.integer(c)
        for s in c.get_children():
            self.numbers(s)


def sites(path, flags, name=None):
    """Every change of one file, in its order, no two the same; `flags` as the compiler gets them."""
    unit = cindex.Index.create().parse(path, args=flags,
                                       options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    broken = [d for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
    if broken:
        raise ValueError(f"{path}: {broken[0].spelling}")
    with open(path, "rb") as f:
        text = f.read()
    found = {(s.start, s.end, s.new): s for s in Walk(unit, name or os.path.basename(path), text).out}
    return sorted(found.values(), key=lambda s: (s.start, s.end, RULES.index(s.rule), s.new))
