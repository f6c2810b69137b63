"""Which language a text is in."""

from __future__ import annotations

import copy
import threading
import unicodedata
from collections import Counter
from functools import cache
from typing import Any

#: Fewer letters than this say nothing about languages that share a script: of cuts of 12 to 16
#: letters (XQuAD, de, en, es) 97 % of those told are right, of shorter ones fewer than 95 %.
MIN_LETTERS = 12
#: Fewer letters than this may be symbols: α, μ, Σ.
_MIN_SCRIPT = 4
#: Up to here, Japanese may do without kana: 95 % of longer cuts have some (JaQuAD).
_MAY_LACK_KANA = 7
#: Characters that are looked at.
SAMPLE = 2_000
#: Probability below which a short text is left undecided.
MIN_PROBABILITY = 0.6

#: Scripts that one language in wide use writes in: a few letters are enough.
_SCRIPT_LANGUAGE = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "THAI": "th", "GREEK": "el",
    "HEBREW": "he", "GEORGIAN": "ka", "ARMENIAN": "hy", "TAMIL": "ta", "TELUGU": "te",
    "BENGALI": "bn", "GUJARATI": "gu", "KANNADA": "kn", "MALAYALAM": "ml", "KHMER": "km",
    "LAO": "lo", "SINHALA": "si",
}  # fmt: skip
#: Varieties that the identifier tells apart -> the language whose models read them.
_VARIANTS = {"wuu": "zh", "yue": "zh", "lzh": "zh", "nb": "no", "nn": "no"}


def detect_language(text: str, *, candidates: tuple[str, ...] = ()) -> str | None:
    """Return the ISO 639-1 code of the language most of `text` is in, None where unsure.

    `candidates` restricts the answer to the languages in use.
    """
    sample = text[:SAMPLE]
    letters = [c for c in sample if c.isalpha()]
    if not letters:
        return None
    by_script = _by_script(letters, candidates)
    if by_script is not None and (not candidates or by_script in candidates):
        return by_script
    if len(letters) < MIN_LETTERS:
        return None
    code, probability = _identifier(candidates).classify(sample.lower())
    sure = len(letters) >= 200 or probability >= MIN_PROBABILITY
    if not sure or code == "zxx":  # no linguistic content
        return None
    return _VARIANTS.get(code, str(code))


def _by_script(letters: list[str], candidates: tuple[str, ...]) -> str | None:
    """Decide by script alone where a script has one language; Han with kana is Japanese."""
    scripts = Counter(_script(c) for c in letters)
    total = len(letters)
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana and (kana + scripts["CJK"]) > total / 2 and kana > total * 0.05:
        return "ja"
    if scripts["CJK"] > total / 2:
        return _of_han("".join(letters), candidates)
    script, count = scripts.most_common(1)[0]
    sure = count > total / 2 and count >= _MIN_SCRIPT
    return _SCRIPT_LANGUAGE.get(script) if sure else None


def _of_han(letters: str, candidates: tuple[str, ...]) -> str | None:
    """Tell Chinese from Japanese that has no kana."""
    possible = [code for code in ("zh", "ja") if code in candidates]
    if len(possible) == 1:
        return possible[0]
    if not _encodes(letters, "cp932"):
        return "zh"
    if not (_encodes(letters, "gb2312") or _encodes(letters, "big5")):
        return "ja"
    return "zh" if len(letters) > _MAY_LACK_KANA else None


def _encodes(letters: str, charset: str) -> bool:
    """Whether all are among the characters that a national standard lists."""
    try:
        letters.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _script(letter: str) -> str:
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "?").split(" ", 1)[0]


@cache
def _identifier(candidates: tuple[str, ...]) -> Any:
    with _LOADING:
        whole = _all_languages()
    if not candidates:
        return whole
    identifier = copy.copy(whole)
    identifier.set_languages(sorted(candidates))
    return identifier


#: Two threads that ask at once would both unpack it.
_LOADING = threading.Lock()


@cache
def _all_languages() -> Any:
    """The identifier of all languages (half a second, 80 MB)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
