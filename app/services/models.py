"""Models by name: embedders, rerankers and language models, loaded on first use."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from app.documents.batcher import MicroBatcher
from app.documents.embed import (
    DEFAULT_NAMES,
    EMBEDDED_NAMES,
    MULTILINGUAL_NAMES,
    PROVIDERS,
    EmbedderOptions,
    embedder_names,
    load_embedder,
    tokenizer_of,
)
from app.documents.embed_others import find_folder
from app.documents.errors import EmbedderError
from app.engine.problems import ModelUnavailable, RagloomError
from app.retrieval.rerank import DEFAULT_NAMES as RERANKER_NAMES
from app.retrieval.rerank import DEFAULT_RERANKER, CrossEncoder, load_cross_encoder
from app.retrieval.types import ModelNotFound
from app.services.providers import USE_EMBEDDED, check_provider, provider_error, stream_chat
from app.services.threads import call

if TYPE_CHECKING:
    import numpy as np

    from app.documents.tokens import Tokenizer

ModelKind = Literal["embed", "rerank", "llm"]

#: The embedded embedder's name for people; "default" means it.
DEFAULT_EMBEDDER = "bge-small-en-v1.5"
#: The embedded embedder for other languages.
MULTILINGUAL = "multilingual"
#: The answerer that needs no model.
EXTRACTIVE = "extractive"

_KEY_VARIABLES = {
    "openai/": "OPENAI_API_KEY",
    "anthropic/": "ANTHROPIC_API_KEY",
    "gemini/": "GEMINI_API_KEY",
    "mistral/": "MISTRAL_API_KEY",
    "cohere/": "COHERE_API_KEY",
    "groq/": "GROQ_API_KEY",
    "openrouter/": "OPENROUTER_API_KEY",
}


class ModelService:
    """Serves the engine's `Models`; every model is loaded once and shared by all."""

    def __init__(self, models_dir: Path, *, allow_downloads: bool = False) -> None:
        self._options = EmbedderOptions(models_dir=models_dir, allow_download=allow_downloads)
        self._batchers: dict[str, MicroBatcher] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._rerankers: dict[str, CrossEncoder] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._rerank_thread = ThreadPoolExecutor(1, thread_name_prefix="rerank")

    async def embed(
        self,
        texts: Sequence[str],
        *,
        kind: Literal["query", "passage"],
        model: str = "default",
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Unit vectors, shape (len(texts), dim), float32.

        A provider is sent at most `batch_size` texts at once; None takes its own limit.
        """
        batcher = await self._batcher(model)
        try:
            return await batcher.embed(texts, kind, most=batch_size)
        except EmbedderError as error:
            raise _translated(error, model, self._options.timeout_s) from error

    async def vector_name(self, model: str = "default") -> str:
        """The name under which vectors of `model` are stored."""
        return (await self._batcher(model)).embedder.name

    async def max_tokens(self, model: str = "default") -> int | None:
        """Tokens of a text that the embedder looks at; None where only its provider knows."""
        return None if _is_remote(model) else (await self._batcher(model)).embedder.max_tokens

    async def tokenizer(self, model: str = "default") -> Tokenizer:
        """Counts text in tokens of an embedder; of a provider's, in those of the embedded one."""
        name = _one_name("default" if _is_remote(model) else model)
        if name not in self._tokenizers:
            embedder = (await self._batcher(name)).embedder
            self._tokenizers[name] = await call(tokenizer_of, embedder)
        return self._tokenizers[name]

    async def rerank(
        self, query: str, passages: Sequence[str], *, model: str = "default"
    ) -> Sequence[float]:
        """Relevance of each passage to the query, 0..1."""
        reranker = await self._reranker(model)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._rerank_thread, reranker.scores, query, list(passages)
        )

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        model: str,
        temperature: float,
        max_tokens: int,
        timeout_s: float,
        response_format: Mapping[str, Any] | None = None,
        on_usage: Callable[[Mapping[str, float]], None] | None = None,
    ) -> AsyncIterator[str]:
        """Stream the completion of a chat by any litellm model; `on_usage` hears the tokens."""
        return stream_chat(
            messages,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
            timeout_s=timeout_s,
            response_format=response_format,
            on_usage=on_usage,
        )

    def fingerprint(self, model: str, kind: ModelKind) -> str:
        """A string that changes when the model behind the name does; loads nothing."""
        if kind == "embed":
            if model in DEFAULT_NAMES:
                from app.documents.embed_onnx import BgeSmallEmbedder

                return BgeSmallEmbedder.name
            if model in MULTILINGUAL_NAMES:
                from app.documents.embed_e5 import MultilingualEmbedder

                return MultilingualEmbedder.name
            return model
        if kind == "rerank":
            if model in RERANKER_NAMES:
                from app.retrieval.rerank import OnnxCrossEncoder

                return OnnxCrossEncoder.fingerprint
            return model
        # The same name at another address is another model.
        places = sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.endswith(("_API_BASE", "_BASE_URL"))
        )
        return f"{model}@{hashlib.sha256(repr(places).encode()).hexdigest()[:12]}"

    async def check(self, model: str, kind: ModelKind) -> None:
        """Raise ModelUnavailable, with the ways to get it, unless `model` can be used here.

        A local model is loaded; of a provider's, only name and key are looked at.
        """
        if kind == "rerank":
            await self._reranker(model)
        elif kind == "embed":
            if _is_remote(model):
                await check_provider(model, otherwise=USE_EMBEDDED)
            else:
                await self._batcher(model)
        elif model != EXTRACTIVE:
            from app.services.providers import USE_EXTRACTIVE

            await check_provider(model, otherwise=USE_EXTRACTIVE)

    async def available(self) -> list[dict[str, Any]]:
        """What can be chosen: name, kind, source, whether it is ready, and how to get it."""
        found = [
            _entry(DEFAULT_EMBEDDER, "embed", "built in"),
            _entry(MULTILINGUAL, "embed", "built in"),
            _entry(DEFAULT_RERANKER, "rerank", "built in"),
            _entry(EXTRACTIVE, "llm", "built in"),
        ]
        found += [_entry(name, "embed", "installed package") for name in embedder_names()]
        found += [_entry(name, "embed", "data folder") for name in await call(self._folders)]
        for prefix, variable in _KEY_VARIABLES.items():
            how = "" if os.environ.get(variable) else f"Set {variable} and start the server again."
            found.append(_entry(f"{prefix}…", "llm", "provider", how))
        return found

    async def warm(self) -> None:
        """Load the default embedder before anybody asks for it."""
        await self._batcher("default")

    async def close(self) -> None:
        """Stop the threads."""
        batchers, self._batchers = list(self._batchers.values()), {}
        for batcher in batchers:
            await call(batcher.close)
        self._rerank_thread.shutdown(wait=False, cancel_futures=True)

    async def _batcher(self, model: str) -> MicroBatcher:
        name = _one_name(model)
        if name not in self._batchers:
            async with self._locks.setdefault(f"embed:{name}", asyncio.Lock()):
                if name not in self._batchers:
                    self._batchers[name] = MicroBatcher(await self._load_embedder(name))
        return self._batchers[name]

    async def _load_embedder(self, name: str) -> Any:
        if _is_remote(name):
            await check_provider(name, otherwise=USE_EMBEDDED)
        elif not await call(self._may_be_here, name):
            raise self._not_here(name)
        try:
            return await call(load_embedder, name, self._options)
        except EmbedderError as error:
            raise _translated(error, name, self._options.timeout_s) from error

    def _may_be_here(self, name: str) -> bool:
        """Whether loading has a chance: finding out by loading takes seconds of imports."""
        if name in EMBEDDED_NAMES or name in embedder_names() or self._options.allow_download:
            return True
        if find_folder(name, self._options.models_dir) is not None:
            return True
        from huggingface_hub.constants import HF_HUB_CACHE

        repositories = (name, f"sentence-transformers/{name}")
        return any(
            (Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}").is_dir()
            for repository in repositories
        )

    def _not_here(self, name: str) -> ModelUnavailable:
        folder = self._options.models_dir or Path("models")
        return ModelUnavailable(
            f"The embedding model “{name}” is not on this machine.",
            fix=f"Put its folder at {folder / name.rsplit('/', 1)[-1]}, or install a package that "
            f"provides it, or allow downloads (RAGLOOM_ALLOW_DOWNLOADS=1), {USE_EMBEDDED}.",
            model=name,
        )

    async def _reranker(self, model: str) -> CrossEncoder:
        name = "default" if model in RERANKER_NAMES else model
        if name not in self._rerankers:
            async with self._locks.setdefault(f"rerank:{name}", asyncio.Lock()):
                if name not in self._rerankers:
                    try:
                        self._rerankers[name] = await call(load_cross_encoder, name)
                    except ModelNotFound as error:
                        raise ModelUnavailable(error.message, fix=error.fix, model=name) from error
        return self._rerankers[name]

    def _folders(self) -> list[str]:
        folder = self._options.models_dir
        if folder is None or not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if (path / "config.json").is_file())


def _is_remote(model: str) -> bool:
    return model not in EMBEDDED_NAMES and model.startswith(PROVIDERS)


def _one_name(model: str) -> str:
    """One name for a model that goes by several."""
    if model in DEFAULT_NAMES:
        return "default"
    return MULTILINGUAL if model in MULTILINGUAL_NAMES else model


def _entry(name: str, kind: ModelKind, source: str, how: str = "") -> dict[str, Any]:
    return {"name": name, "kind": kind, "source": source, "ready": not how, "how": how}


def _translated(error: EmbedderError, model: str, timeout_s: float) -> RagloomError:
    if error.code != "model_failed":
        return ModelUnavailable(error.message, fix=error.fix, model=model)
    cause = error.__cause__
    if not _is_remote(model) or not isinstance(cause, Exception):
        return RagloomError(error.message, code="provider_error", fix=error.fix, model=model)
    found = provider_error(cause, model, timeout_s, USE_EMBEDDED)
    if found.code == "prompt_too_long":
        return RagloomError(
            f"A text is longer than “{model}” can read.",
            code="text_too_long",
            fix="Lower chunk_size, or use another embedding model.",
            model=model,
        )
    return found
