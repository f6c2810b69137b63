"""Characters that were damaged on the way, and mending them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.documents.quality import Passage, QualityConfig

#: UTF-8 read as Windows-1252 ("Ã©", "â€™"), characters of fonts without a map, pdfminer's "(cid:7)".
_DAMAGE = re.compile(r"\ufffd|[ÃÂ][\x80-\xbf]|â€[\x80-\xbf™œ“”˜¦]|[\ue000-\uf8ff]|\(cid:\d+\)")
#: What may be UTF-8 read in another encoding: worth a look by the library that knows.
_MISREAD = re.compile(r"[ÃÂâÐÑäåæçèéïð][\x80-\xbf‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


def encoding(passages: Sequence[Passage], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks whose characters were damaged on the way."""
    for i, passage in enumerate(passages):
        damaged = sum(len(match) for match in _DAMAGE.findall(passage.text))
        if damaged > config.max_damage * len(passage.text):
            yield i, f"{damaged} of {len(passage.text)} characters are damaged"


def mend_encoding(passage: Passage, config: QualityConfig) -> tuple[str, str] | None:
    """Undo wrong encodings, and nothing else: quotes, widths and entities stay as they are."""
    if not _MISREAD.search(passage.text):
        return None
    import ftfy

    mended = ftfy.fix_text(
        passage.text,
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        remove_control_chars=False,
        normalization=None,
    )
    return None if mended == passage.text else (mended, "characters of a wrong encoding mended")
