"""Embedding models that know words alone, and knowledge bases in two languages for them."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.documents.embed import EmbedderOptions, Kind
from app.services.views import SearchConfig

if TYPE_CHECKING:
    from app.services.container import Services
    from tests.services.conftest import Fill

TEXTS = {
    "tides.md": "# Tides\n\nThe harbour of Lowick has the highest tide at noon on Fridays, and the "
    "boats leave two hours before the tide turns.\n",
    "hafen.md": "# Hafen\n\nDer Hafen von Emden ist bei Ebbe trocken, und die Fischer warten dort "
    "viele Stunden auf das Wasser der nächsten Flut.\n",
    "motor.md": "# Motor\n\nDer Motor wiegt elf Kilogramm und verbrennt ein Gemisch aus Öl und "
    "Benzin, das man vor der Fahrt selbst mischen muss.\n",
}


#: What makes the texts of a knowledge base its own: by its chance direction, it would now and then
#: decide which of two passages is nearer. So would the id of a knowledge base.
_MARK = re.compile(r"[0-9a-f]{32}|kb_[0-9a-f]{20}")


class Words:
    """Adds up a direction for each word; remembers what it embedded."""

    max_tokens = 512

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim
        self.seen: list[str] = []
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        (self.asked if kind == "query" else self.seen).extend(texts)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> np.ndarray:
        total = np.full(self.dim, 1e-3, dtype=np.float32)
        for word in (part.strip(".,") for part in text.lower().split()):
            if _MARK.fullmatch(word):
                continue
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).standard_normal(self.dim, dtype=np.float32)
        return total / np.linalg.norm(total)


def given(model: Words, options: EmbedderOptions) -> Words:
    """Makes the model that is given."""
    return model


async def made(services: Services, fill: Fill, **config: object) -> str:
    """A knowledge base of its own texts: others' are embedded already."""
    own = uuid.uuid4().hex
    kb = (await services.knowledge.create(own, config=config)).knowledge_base_id
    await fill(kb, {name: f"{text}\n{own}\n" for name, text in TEXTS.items()})
    return kb


async def names(services: Services, kb: str, query: str, **config: Any) -> list[str]:
    found = await services.search.search(kb, query, SearchConfig(**config))
    return [chunk.document_name for chunk in found.results]
