"""The embedded model: bge-small-en-v1.5, int8 weights, on onnxruntime."""

from __future__ import annotations

import os
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


class BgeSmallEmbedder:
    """bge-small-en-v1.5: English, 384 dimensions, CLS pooling, unit length.

    Each text is a run of its own and runs go to `threads` threads at once. Two reasons: activations
    are quantised per tensor, so in a padded batch a text's vector would depend on its neighbours
    (cosine 0.994 to itself); and unpadded single runs are also faster (2 cores, 230 tokens: 57
    texts/s against 32 in batches of 16).
    """

    name = "bge-small-en-v1.5-int8"
    dim = 384
    max_tokens = 512

    def __init__(self, threads: int | None = None) -> None:
        """Load the model (0.2 s).

        Raises:
            EmbedderError: model_unavailable, model_damaged.
        """
        import onnxruntime
        from tokenizers import Tokenizer

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.inter_op_num_threads = 1
        # The arena would keep the memory of the longest text in every thread for good.
        settings.enable_cpu_mem_arena = False
        settings.log_severity_level = 3
        self._tokenizer = Tokenizer.from_file(str(embedded_file("tokenizer.json")))
        self._tokenizer.enable_truncation(self.max_tokens)
        self._tokenizer.no_padding()
        self._session = onnxruntime.InferenceSession(
            str(embedded_file("model.onnx")), settings, providers=["CPUExecutionProvider"]
        )
        self._threads = threads or usable_cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Return unit vectors, shape (len(texts), 384), float32."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        prefix = QUERY_PREFIX if kind == "query" else ""
        encodings = self._tokenizer.encode_batch([prefix + text for text in texts])
        rows = [encoding.ids for encoding in encodings]
        if len(rows) == 1:
            return np.stack([self._run(rows[0])])
        # Longest first: the last runs are short, so no thread ends long after the others.
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        vectors = np.empty((len(rows), self.dim), dtype=np.float32)
        for i, vector in zip(
            order, self._pool.map(self._run, [rows[i] for i in order]), strict=True
        ):
            vectors[i] = vector
        return vectors

    def _run(self, ids: list[int]) -> Any:
        import numpy as np

        row = np.array([ids], dtype=np.int64)
        try:
            (hidden,) = self._session.run(
                ["last_hidden_state"],
                {
                    "input_ids": row,
                    "attention_mask": np.ones_like(row),
                    "token_type_ids": np.zeros_like(row),
                },
            )
        except Exception as error:  # onnxruntime raises classes of its own, all bare Exceptions
            raise EmbedderError("model_failed", f"The embedded model failed: {error}") from error
        vector = hidden[0, 0]
        return vector / np.linalg.norm(vector)
