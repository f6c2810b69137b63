"""Whether code in passages can be parsed. Nothing is ever run."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

from app.documents.quality import Passage, QualityConfig

#: Longer code, and code nested deeper, is not parsed: it says little and may exhaust a parser.
_MOST_CHARS = 100_000
_DEEPEST = 80
_FENCE = re.compile(r"^(`{3,}|~{3,})([^\n`]*)\n(.*?)\n?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_BRACKETS = {")": "(", "]": "[", "}": "{"}
#: Languages whose brackets always come in pairs, and the mark of their comments to the line's end.
_PAIRED = {
    "c": "//", "cpp": "//", "c++": "//", "cs": "//", "csharp": "//", "css": "", "dart": "//",
    "go": "//", "java": "//", "javascript": "//", "js": "//", "jsx": "//", "json5": "//",
    "jsonc": "//", "kotlin": "//", "php": "//", "r": "#", "scala": "//", "scss": "//",
    "swift": "//", "ts": "//", "tsx": "//", "typescript": "//",
}  # fmt: skip
#: Texts and comments between slashes and stars; whichever begins first counts.
_TEXTS = r'"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|/\*.*?\*/|' r"'(?:\\.|[^'\\\n])+'"


def code_syntax(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks with code that is not well formed.

    Python is parsed, JSON is read, and of other known languages the brackets are counted. Only
    whole blocks are looked at: half of one is never well formed.
    """
    for i, passage in enumerate(passages):
        for info, code in _blocks(passage):
            check = _check_for(info)
            if check is None or len(code) > _MOST_CHARS or _depth(code) > _DEEPEST:
                continue
            if problem := check(code):
                yield i, f"{info or 'code'}: {problem}"
                break


def _blocks(passage: Passage) -> Iterator[tuple[str, str]]:
    """(language, code) of every whole code block."""
    if passage.code:
        for span in passage.code:
            if span.whole:
                yield from _unfenced(_language(span.info), passage.text[span.start : span.end])
        return
    for match in _FENCE.finditer(passage.text):
        yield _language(match[2]), match[3]


def _unfenced(info: str, code: str) -> Iterator[tuple[str, str]]:
    """The code inside its fences, where the block still has them."""
    match = _FENCE.fullmatch(code.strip())
    yield (info or _language(match[2]), match[3]) if match else (info, code)


def _language(info: str) -> str:
    found = re.match(r"[\s{.]*([\w+#-]+)", info)
    return found[1].lower() if found else ""


def _check_for(info: str) -> Callable[[str], str | None] | None:
    if info in ("python", "py", "python3", "py3", "ipython", "ipython3", "pycon"):
        return _python
    if info in ("json", "jsonl", "ndjson"):
        return _json if info == "json" else _json_lines
    if info in _PAIRED:
        return lambda code: _unpaired(code, _PAIRED[info])
    return None


def _python(code: str) -> str | None:
    lines = code.split("\n")
    if any(line.startswith(">>>") for line in lines):
        # A session: what was typed, without what was answered.
        lines = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    lines = ["pass" if re.match(r"[%!]", line) else line for line in lines]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(textwrap.dedent("\n".join(lines)))
    except SyntaxError as error:
        return f"line {error.lineno or 1}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _json(code: str) -> str | None:
    try:
        json.loads(code)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return str(error)[:100]
    return None


def _json_lines(code: str) -> str | None:
    return next((p for line in code.split("\n") if line.strip() and (p := _json(line))), None)


def _unpaired(code: str, comment: str) -> str | None:
    ignored = f"{_TEXTS}|{re.escape(comment)}[^\\n]*" if comment else _TEXTS
    code = re.sub(ignored, "", code, flags=re.DOTALL)
    held: list[str] = []
    for char in code:
        if char in "([{":
            held.append(char)
        elif char in _BRACKETS and (not held or held.pop() != _BRACKETS[char]):
            return f"“{char}” closes nothing"
    return f"“{held[-1]}” is not closed" if held else None


def _depth(code: str) -> int:
    """Return how deep brackets and signs stand in each other, marks in texts included."""
    depth = deepest = 0
    for char in code:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth = max(0, depth - 1)
    longest = max((len(run) for run in re.findall(r"(?:[-+~]\s*)+|(?:\bnot\s+)+", code)), default=0)
    return max(deepest, longest // 2)
