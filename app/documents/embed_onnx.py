"""Embedded models on onnxruntime, and the default one: bge-small-en-v1.5 with int8 weights."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from app.documents.embed import Kind
from app.documents.errors import EmbedderError
from app.documents.model_files import embedded_file

if TYPE_CHECKING:
    import numpy as np

#: From the model's card: put in front of queries, not of passages.
QUERY_PREFIX = "Represent this sentence for searching relevant passages: "


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OnnxEmbedder(ABC):
    """What the embedded models have in common: each text is a run of its own.

    Runs go to `threads` threads at once. Two reasons: activations may be quantised per tensor, so
    in a padded batch a text's vector would depend on its neighbours (cosine 0.994 to itself for
    bge-small); and unpadded single runs are also faster (2 cores, 230 tokens: 57 texts/s against 32
    in batches of 16).
    """

    name: str
    dim = 384
    max_tokens = 512
    #: Two batches of 8 in flight keep every core at work, one of 16 leaves them idle at its end.
    batch_size = 8
    lanes = 2

    def __init__(self, model: str | bytes, threads: int | None = None) -> None:
        """Open a session over a model's path or its bytes."""
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.inter_op_num_threads = 1
        # The arena would keep the memory of the longest text in every thread for good.
        settings.enable_cpu_mem_arena = False
        settings.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, settings, providers=["CPUExecutionProvider"]
        )
        self._pool = ThreadPoolExecutor(threads or usable_cores(), thread_name_prefix="embed")

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Return unit vectors, shape (len(texts), 384), float32."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        rows = self._tokens(texts, kind)
        if len(rows) == 1:
            return np.stack([self._vector(rows[0])])
        # Longest first: the last runs are short, so no thread ends long after the others.
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        vectors = np.empty((len(rows), self.dim), dtype=np.float32)
        for i, vector in zip(
            order, self._pool.map(self._vector, [rows[i] for i in order]), strict=True
        ):
            vectors[i] = vector
        return vectors

    def _vector(self, ids: list[int]) -> Any:
        import numpy as np

        try:
            vector = self._run(ids)
        except Exception as error:  # onnxruntime raises classes of its own, all bare Exceptions
            raise EmbedderError("model_failed", f"The embedded model failed: {error}") from error
        return vector / np.linalg.norm(vector)

    @abstractmethod
    def _tokens(self, texts: Sequence[str], kind: Kind) -> list[list[int]]:
        """Token ids of each text, at most `max_tokens`, with the model's own marks and prefix."""

    @abstractmethod
    def _run(self, ids: list[int]) -> Any:
        """The vector of one text, shape (dim,), of any length."""


class BgeSmallEmbedder(OnnxEmbedder):
    """bge-small-en-v1.5: English, 384 dimensions, CLS pooling, unit length."""

    name = "bge-small-en-v1.5-int8"

    def __init__(self, threads: int | None = None) -> None:
        """Load the model (0.2 s).

        Raises:
            EmbedderError: model_unavailable, model_damaged.
        """
        from tokenizers import Tokenizer

        super().__init__(str(embedded_file("model.onnx")), threads)
        self._tokenizer = Tokenizer.from_file(str(embedded_file("tokenizer.json")))
        self._tokenizer.enable_truncation(self.max_tokens)
        self._tokenizer.no_padding()

    def _tokens(self, texts: Sequence[str], kind: Kind) -> list[list[int]]:
        prefix = QUERY_PREFIX if kind == "query" else ""
        encodings = self._tokenizer.encode_batch([prefix + text for text in texts])
        return [encoding.ids for encoding in encodings]

    def _run(self, ids: list[int]) -> Any:
        import numpy as np

        row = np.array([ids], dtype=np.int64)
        (hidden,) = self._session.run(
            ["last_hidden_state"],
            {
                "input_ids": row,
                "attention_mask": np.ones_like(row),
                "token_type_ids": np.zeros_like(row),
            },
        )
        return hidden[0, 0]
