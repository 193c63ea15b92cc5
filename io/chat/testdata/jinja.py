"""Writes jinja.json.gz: small templates, with what jinja2 renders of them. Run with jinja2 3.1.6 and Python 3.11."""
import gzip
import json
import random

import oracle

VARIABLES = """{
"s": "Hello, Wörld ß", "e": "", "n": 3, "neg": -7, "f": 2.5, "one": 1.0, "big": 123456789012345678901234567890, "t": true,
"z": null, "l": [1, 2.0, "a", null, true], "ls": ["b", "A", "c", "a"], "li": [3, 1, 2], "em": [], "ed": {},
"d": {"b": 1, "a": "x", "C": null, "items": 5}, "num": "42", "fl": " 3.7 ", "ws": "  \\n pad\\t \\u001c",
"ld": [{"n": "x", "v": 1}, {"n": "Y", "v": 2}, {"n": "y", "v": 1.5}, {"v": 0}], "multi": "a\\nb\\r\\nc\\n\\nd",
"nest": {"a": {"b": [1, {"c": "deep"}]}}, "html": "<a href='x'>&\\"</a>", "exp": 1e22, "small": 1e-7,
"uni": "日本語 😀 é", "sig": "ΟΔΟΣ ǅ ﬁ", "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}]
}"""

VALUES = ["s", "e", "n", "neg", "f", "one", "big", "t", "z", "l", "ls", "li", "em", "ed", "d", "num", "fl", "ws", "ld", "multi", "nest",
          "html", "exp", "small", "uni", "sig", "undef", "true", "none", "0", "-1", "0.5", "'ab'", "''", "[]", "(1,2)", "()", "{'a':1}",
          "range(3)", "namespace(a=1)", "1e16", "123456.789", "s|safe", "html|e", "d.items()", "d.keys()", "d.values()"]
OPERATORS = "+ * // % ~ == < >= in".split()
TESTS = ["defined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping", "iterable", "sequence",
         "callable", "lower", "upper", "odd", "divisibleby 2", "in [1,2]", "in 'abc'", "sameas none", "eq 1", "gt 1", "escaped"]
FILTERS = ["abs", "attr('a')", "capitalize", "upper", "lower", "title", "trim", "trim('H ')", "center(20)", "wordcount", "string", "length",
           "default('D')", "d('D',true)", "e", "forceescape", "safe", "first", "last", "float", "int", "int(5)", "int(base=16)",
           "indent(2,true)", "indent('> ',blank=true)", "join(',')", "join(',',attribute='n')", "list", "replace('a','Z',1)",
           "reverse|list", "round", "round(1)", "round(-1)", "round(1,'ceil')", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)",
           "tojson(sort_keys=true)", "tojson(separators=(',',':'))", "truncate(5)", "truncate(5,true)", "urlencode", "filesizeformat",
           "items|list", "map(attribute='n')|list", "map(attribute='n',default='Q')|list", "map('upper')|list", "select|list",
           "reject|list", "select('gt',1)|list", "selectattr('v','gt',1)|list", "rejectattr('n','defined')|list", "sort",
           "sort(reverse=true)", "sort(attribute='v')", "dictsort", "dictsort(by='value')", "unique|list", "min", "max(attribute='v')",
           "sum", "sum(attribute='v')", "groupby('v')", "batch(2)|list", "batch(3,'x')|list", "slice(3,'x')|list", "format(1)", "nosuch"]
METHODS = ["a", "items", "keys()", "get('a')", "get('zz','D')", "items()", "pop('a')", "append(1)", "update({})", "strip()", "lstrip()",
           "rstrip()", "split()", "split(',')", "split(' ',1)", "split(none,1)", "rsplit('l',1)", "rsplit(none,1)", "splitlines()",
           "startswith(('x','H'))", "endswith('lo',0,5)", "replace('','-')", "upper()", "title()", "swapcase()", "join(['a','b'])",
           "find('l')", "rfind('l')", "index('l')", "count('')", "center(20,'*')", "zfill(20)", "isalpha()", "isupper()", "islower()",
           "removeprefix('He')", "partition(',')", "rpartition('l')", "expandtabs(4)", "__class__", "_x", "nope.nope", "0"]
SUBSCRIPTS = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[5:1:-2]", "['a']", "[none]", "[true]", "['items']", "[::0]"]
PERCENTS = ["'%s'", "'%r'", "'%d'", "'%5d|%-5d|%05d'", "'%+d'", "'%x %X %o'", "'%.2f'", "'%8.3f|%-8.2e|%g'", "'%c'", "'%(a)s'", "'%10s|%.2s'"]
BRACES = ["'{}'", "'{:>10}'", "'{:*^10}'", "'{:05d}'", "'{:,}'", "'{:.2f}'", "'{:e}'", "'{:g}'", "'{:%}'", "'{:#x}'", "'{!r}'", "'{0.a}'",
          "'{0[0]}'", "'{{}}'", "'{:.3}'"]


def grid():
    """Every operation on every value; a part of it is kept."""
    for a in VALUES:
        views = lambda o, b: o in "<>=" and a.startswith("d.") and b.startswith("d.")  # sets, which are not supported
        yield from (f"({a}) {o} ({b})" for b in VALUES for o in OPERATORS if not views(o, b))
        yield from (f"({a}) is {t}" for t in TESTS)
        yield from (f"({a})|{x}" for x in FILTERS)
        yield from (f"({a}).{m}" for m in METHODS)
        if a.isalpha() and a not in ("true", "none"):  # Jinja gives up more softly on slices of literals
            yield from (f"({a}){s}" for s in SUBSCRIPTS)
        yield from (f"{p} % ({a})" for p in PERCENTS)
        yield from (f"{b}.format({a})" for b in BRACES)


# Statements: scopes, loops, macros, white space. Each is a template of its own.
STATEMENTS = [line.replace("¶", "\n") for line in open("statements.txt", encoding="utf-8").read().splitlines() if line]


def main():
    random.seed(7)
    templates = ["{{ " + e + " }}" for e in grid() if random.random() < 0.1] + STATEMENTS
    cases = []
    for t in templates:
        ok, text = oracle.render(t, json.loads(VARIABLES))
        if " at 0x" not in text.lower():
            cases.append([t, [ok, text]])
    data = json.dumps({"variables": json.loads(VARIABLES), "cases": cases}, ensure_ascii=False, separators=(",", ":"))
    with open("jinja.json.gz", "wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as f:
        f.write(data.encode())
    print(len(cases), "cases,", sum(not c[1][0] for c in cases), "of them errors")


if __name__ == "__main__":
    main()
