"""Embedders: what they are, those that come along, and how others join them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from app.documents.plugins import Plugins

if TYPE_CHECKING:
    import numpy as np

    from app.documents.tokens import Tokenizer

Kind = Literal["query", "passage"]

#: Names of the embedded model for English.
DEFAULT_NAMES = ("default", "bge-small-en-v1.5", "BAAI/bge-small-en-v1.5")
#: Names of the embedded model for about 100 languages.
MULTILINGUAL_NAMES = (
    "multilingual", "multilingual-e5-small", "intfloat/multilingual-e5-small",
)  # fmt: skip
EMBEDDED_NAMES = DEFAULT_NAMES + MULTILINGUAL_NAMES

#: Beginnings of model names that litellm serves.
PROVIDERS = (
    "azure/", "bedrock/", "cohere/", "gemini/", "huggingface/", "jina_ai/", "litellm/", "mistral/",
    "nvidia_nim/", "ollama/", "openai/", "text-embedding-", "together_ai/", "vertex_ai/",
    "voyage/", "watsonx/",
)  # fmt: skip


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """Name under which vectors are stored; changes when the vectors would."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are looked at; the rest is cut."""

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Return unit vectors, shape (len(texts), dim), float32, in the order of `texts`.

        Blocks; may be called from several threads at once.

        Raises:
            EmbedderError: model_unavailable, model_damaged, model_failed.
        """


@dataclass(frozen=True, slots=True)
class EmbedderOptions:
    """Where models lie and what loading one may do."""

    #: Folder of models a person put there; `<folder>/<name>` is looked at first.
    models_dir: Path | None = None
    #: Whether a model that is not on this machine may be fetched from its hub.
    allow_download: bool = False
    #: Threads that compute; None = one a core this process may use.
    threads: int | None = None
    #: Seconds a remote provider may take for one request.
    timeout_s: float = 60.0


EmbedderFactory = Callable[[EmbedderOptions], Embedder]

_embedders: Plugins[EmbedderFactory] = Plugins("ragloom.embedders")


def tokenizer_of(embedder: Embedder) -> Tokenizer:
    """The tokenizer that sizes of chunks are counted with.

    That of the embedder where it says how many tokens a word is (a method `count_tokens`), else
    the embedded model's.
    """
    from functools import lru_cache

    from app.documents.tokens import CountingTokenizer, default_tokenizer

    count = getattr(embedder, "count_tokens", None)
    return default_tokenizer() if count is None else CountingTokenizer(lru_cache(100_000)(count))


def register_embedder(name: str, factory: EmbedderFactory) -> None:
    """Make `factory` serve the model name `name`."""
    _embedders.register(name, factory)


def embedder_names() -> list[str]:
    """Return the names that other packages registered."""
    return _embedders.names()


def failed_embedders() -> dict[str, str]:
    """Return the entry points of embedders that could not be loaded, and why."""
    return dict(_embedders.failed)


def load_embedder(name: str = "default", options: EmbedderOptions | None = None) -> Embedder:
    """Return the embedder called `name`, loading its model (blocks; seconds for torch models).

    A process loads an embedded model once.

    In this order: the embedded models ("default", "multilingual"), a registered name, a litellm
    model ("openai/…", "ollama/…", "litellm/…", …), a sentence-transformers name or folder.

    Raises:
        EmbedderError: model_unavailable, with the ways to get the model.
    """
    options = options or EmbedderOptions()
    if name in DEFAULT_NAMES:
        return _default(options.threads)
    if name in MULTILINGUAL_NAMES:
        return _multilingual(options.threads)
    if (factory := _embedders.get(name)) is not None:
        return factory(options)
    if name.startswith(PROVIDERS):
        from app.documents.embed_others import LitellmEmbedder

        return LitellmEmbedder(name.removeprefix("litellm/"), timeout_s=options.timeout_s)
    from app.documents.embed_others import SentenceTransformersEmbedder

    return SentenceTransformersEmbedder(
        name, models_dir=options.models_dir, allow_download=options.allow_download
    )


@cache
def _default(threads: int | None) -> Embedder:
    from app.documents.embed_onnx import BgeSmallEmbedder

    return BgeSmallEmbedder(threads=threads)


@cache
def _multilingual(threads: int | None) -> Embedder:
    from app.documents.embed_e5 import MultilingualEmbedder

    return MultilingualEmbedder(threads=threads)
