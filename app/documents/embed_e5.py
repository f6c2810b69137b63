"""The embedded multilingual model: multilingual-e5-small, 4-bit weights, on onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.documents.e5_file import E5File
from app.documents.embed import Kind
from app.documents.embed_onnx import OnnxEmbedder
from app.documents.model_files import E5_SMALL, embedded_file

_SPACES = re.compile(" {2,}")
#: Characters that are counted at once: fewer tokens than the model takes.
_COUNTED = 200


class MultilingualEmbedder(OnnxEmbedder):
    """multilingual-e5-small: about 100 languages, 384 dimensions, mean pooling, unit length.

    The package that carries the weights has an engine of its own, built without vector
    instructions: 0.6 texts/s a core at 235 tokens, where onnxruntime gives 13 (and vectors of
    cosine 0.9999 to the engine's).
    """

    name = "multilingual-e5-small-q4"

    def __init__(self, threads: int | None = None) -> None:
        """Load the model (1 s, most of it the 250,000 pieces of the tokenizer).

        Raises:
            EmbedderError: model_unavailable, model_damaged.
        """
        import numpy as np
        from tokenizers import Tokenizer, models, pre_tokenizers

        file = E5File(embedded_file("e5-small-q4.bin", E5_SMALL))
        super().__init__(file.encoder(), threads)
        self._begin, self._end = file.begin, file.end
        self._replacements = file.replacements
        self._tokenizer = Tokenizer(models.Unigram(file.pieces, file.unknown, byte_fallback=False))
        self._tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        self._tokenizer.enable_truncation(self.max_tokens - 2)
        words = file.blocks("emb.word")
        self._words = words.reshape(-1, self.dim // words["bits"].shape[1] // 2)
        # Every token is of the first type.
        places = file.floats("emb.pos").reshape(file.longest, self.dim)
        self._places = places + file.floats("emb.type")[: self.dim]
        self._gain, self._shift = file.floats("emb.ln.w"), file.floats("emb.ln.b")
        self._epsilon = np.float32(file.epsilon)

    def _tokens(self, texts: Sequence[str], kind: Kind) -> list[list[int]]:
        # From the model's card: every text begins with what it is.
        plain = [
            _SPACES.sub(" ", f"{kind}: {text}".translate(self._replacements)) for text in texts
        ]
        encodings = self._tokenizer.encode_batch(plain, add_special_tokens=False)
        return [[self._begin, *encoding.ids, self._end] for encoding in encodings]

    def count_tokens(self, word: str) -> int:
        """How many tokens a word is; in writing without spaces, any run of characters."""
        parts = [word[i : i + _COUNTED] for i in range(0, len(word), _COUNTED)]
        plain = [part.translate(self._replacements) for part in parts]
        encodings = self._tokenizer.encode_batch(plain, add_special_tokens=False)
        return sum(len(encoding.ids) for encoding in encodings)

    def _run(self, ids: list[int]) -> Any:
        (mean,) = self._session.run(["mean"], {"x": self._embedded(ids)[None]})
        return mean[0]

    def _embedded(self, ids: list[int]) -> Any:
        """Words and places of tokens, normed: shape (n, dim), float32.

        Done here and not by the session: of the table of words, half of the file, only the rows
        that occur are read from disk.
        """
        import numpy as np

        blocks = self._words[ids]
        bits = blocks["bits"]
        weights = np.concatenate([bits & 0x0F, bits >> 4], axis=2).astype(np.float32) - 8
        scales = blocks["scale"].astype(np.float32)[..., None]
        x = (weights * scales).reshape(len(ids), self.dim) + self._places[: len(ids)]
        x -= x.mean(axis=1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=1, keepdims=True) + self._epsilon)
        return x * self._gain + self._shift
