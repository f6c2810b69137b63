"""Word's formulas (OMML) as LaTeX: fractions, powers, roots, sums, brackets, matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.documents.extract.xml_parts import local as _local

#: Formulas nested deeper than this are read as plain text.
MAX_DEPTH = 60
_NARY = {
    "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "∬": r"\iint", "∭": r"\iiint", "∮": r"\oint",
    "⋃": r"\bigcup", "⋂": r"\bigcap", "∐": r"\coprod", "": r"\int",
}  # fmt: skip
_ACCENTS = {
    "\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar", "\u0305": r"\overline",
    "\u0307": r"\dot", "\u0308": r"\ddot", "\u20d7": r"\vec", "\u20d6": r"\overleftarrow",
}  # fmt: skip
_FUNCTIONS = frozenset(
    [
        "arccos",
        "arcsin",
        "arctan",
        "cos",
        "cosh",
        "cot",
        "coth",
        "csc",
        "deg",
        "det",
        "dim",
        "exp",
        "gcd",
        "inf",
        "ker",
        "lg",
        "lim",
        "ln",
        "log",
        "max",
        "min",
        "sec",
        "sin",
        "sinh",
        "sup",
        "tan",
        "tanh",
    ]
)
_PAIRS = {"{": r"\{", "}": r"\}", "": "."}


def latex(element: Any, depth: int = 0) -> str:
    """Return a formula, or a part of one, as LaTeX; letters and symbols stay as they are."""
    if depth > MAX_DEPTH:
        return _plain(element)
    parts = []
    for child in element:
        name = _local(child)
        if name == "t":
            parts.append(child.text or "")
        elif (writer := _WRITERS.get(name)) is not None:
            parts.append(writer(child, depth + 1))
        elif not name.endswith("Pr"):
            parts.append(latex(child, depth + 1))
    return "".join(parts)


def _fraction(element: Any, depth: int) -> str:
    top, bottom = _part(element, "num", depth), _part(element, "den", depth)
    kind = _value(element, "type")
    if kind == "lin":
        return f"{top}/{bottom}"
    if kind == "noBar":
        return rf"{{{top} \atop {bottom}}}"
    return rf"\frac{{{top}}}{{{bottom}}}"


def _power(element: Any, depth: int) -> str:
    base = _part(element, "e", depth)
    low, high = _part(element, "sub", depth), _part(element, "sup", depth)
    scripts = (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")
    return scripts + base if _local(element) == "sPre" else base + scripts


def _root(element: Any, depth: int) -> str:
    degree, base = _part(element, "deg", depth), _part(element, "e", depth)
    return rf"\sqrt[{degree}]{{{base}}}" if degree else rf"\sqrt{{{base}}}"


def _sum(element: Any, depth: int) -> str:
    sign = _value(element, "chr") or ""
    low, high = _part(element, "sub", depth), _part(element, "sup", depth)
    scripts = (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")
    return f"{_NARY.get(sign, sign)}{scripts} {_part(element, 'e', depth)}"


def _brackets(element: Any, depth: int) -> str:
    first, last = _value(element, "begChr"), _value(element, "endChr")
    first, last = "(" if first is None else first, ")" if last is None else last
    between = _value(element, "sepChr") or "|"
    inner = [latex(child, depth) for child in element if _local(child) == "e"]
    text = f" {between} ".join(inner)
    return rf"\left{_PAIRS.get(first, first)} {text} \right{_PAIRS.get(last, last)}"


def _function(element: Any, depth: int) -> str:
    name = _part(element, "fName", depth)
    for known in _FUNCTIONS:
        if name == known or name.startswith((f"{known}_", f"{known}^")):
            name = f"\\{name}"
            break
    return f"{name} {_part(element, 'e', depth)}"


def _limit(element: Any, depth: int) -> str:
    mark = "_" if _local(element) == "limLow" else "^"
    return f"{_part(element, 'e', depth)}{mark}{{{_part(element, 'lim', depth)}}}"


def _accent(element: Any, depth: int) -> str:
    sign = _value(element, "chr")
    command = _ACCENTS.get(sign or "\u0302", r"\hat")
    return f"{command}{{{_part(element, 'e', depth)}}}"


def _bar(element: Any, depth: int) -> str:
    command = r"\overline" if _value(element, "pos") == "top" else r"\underline"
    return f"{command}{{{_part(element, 'e', depth)}}}"


def _matrix(element: Any, depth: int) -> str:
    rows = [
        " & ".join(latex(cell, depth) for cell in row if _local(cell) == "e")
        for row in element
        if _local(row) == "mr"
    ]
    return r"\begin{matrix}" + r" \\ ".join(rows) + r"\end{matrix}"


def _lines(element: Any, depth: int) -> str:
    return r" \\ ".join(latex(line, depth) for line in element if _local(line) == "e")


_WRITERS: dict[str, Callable[[Any, int], str]] = {
    "f": _fraction, "sSup": _power, "sSub": _power, "sSubSup": _power, "sPre": _power,
    "rad": _root, "nary": _sum, "d": _brackets, "func": _function, "limLow": _limit,
    "limUpp": _limit, "acc": _accent, "bar": _bar, "m": _matrix, "eqArr": _lines,
}  # fmt: skip


def _part(element: Any, name: str, depth: int) -> str:
    child = next((c for c in element if _local(c) == name), None)
    return latex(child, depth).strip() if child is not None else ""


def _value(element: Any, name: str) -> str | None:
    """Return the value of a property ("chr", "type"); None where it is not given."""
    for properties in element:
        if _local(properties).endswith("Pr"):
            for item in properties:
                if _local(item) == name:
                    return next((str(v) for k, v in item.attrib.items() if k.endswith("val")), "")
    return None


def _plain(element: Any) -> str:
    return "".join(t.text or "" for t in element.iter("{*}t"))
