"""Models by name: the embedded ones really run; providers are met over their real protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from app.engine.problems import ModelUnavailable, RagloomError
from app.services.models import ModelService
from tests.services.openai_server import WORDS, openai_server


@pytest_asyncio.fixture
async def models(tmp_path: Path) -> AsyncIterator[ModelService]:
    service = ModelService(tmp_path / "models")
    yield service
    await service.close()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenAI, as far as litellm can tell."""
    with openai_server() as url:
        monkeypatch.setenv("OPENAI_API_BASE", url)
        monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
        yield
    _forget_clients()


def _forget_clients() -> None:
    """litellm keeps clients of a server for good; here each test has another one."""
    import litellm

    litellm.in_memory_llm_clients_cache.flush_cache()


async def complete(models: ModelService, model: str, timeout_s: float = 20) -> list[str]:
    messages = [{"role": "user", "content": "When is high tide?"}]
    return [
        piece
        async for piece in models.complete(
            messages, model=model, temperature=0, max_tokens=20, timeout_s=timeout_s
        )
    ]


async def test_the_embedded_embedder(models: ModelService) -> None:
    vectors = await models.embed(["a cat", "a kitten", "a tax form"], kind="passage")
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    same = await models.embed(["a cat"], kind="passage", model="bge-small-en-v1.5")
    assert same[0] @ vectors[0] == pytest.approx(1, abs=1e-3)
    assert (await models.embed([], kind="passage")).shape[0] == 0
    assert await models.vector_name("default") == models.fingerprint("default", "embed")


async def test_names_of_the_multilingual_model_mean_one(models: ModelService) -> None:
    names = {
        await models.vector_name(name)
        for name in ("multilingual", "multilingual-e5-small", "intfloat/multilingual-e5-small")
    }
    assert names == {models.fingerprint("multilingual", "embed")} == {"multilingual-e5-small-q4"}
    assert await models.max_tokens("multilingual") == 512


async def test_many_callers_share_one_embedder(models: ModelService) -> None:
    alone = [await models.embed([f"text {n}"], kind="passage") for n in range(8)]
    together = await asyncio.gather(
        *(models.embed([f"text {n}"], kind="passage") for n in range(8))
    )
    assert np.concatenate(together) == pytest.approx(np.concatenate(alone), abs=1e-5)


async def test_the_embedded_reranker(models: ModelService) -> None:
    scores = await models.rerank(
        "What does bread need?", ["Bread needs flour and water.", "The engine burns petrol."]
    )
    assert scores[0] > 0.5 > scores[1]
    assert list(await models.rerank("q", [])) == []


async def test_fingerprints_tell_models_apart(
    models: ModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models.fingerprint("default", "rerank") != models.fingerprint("other", "rerank")
    before = models.fingerprint("openai/x", "llm")
    assert before == models.fingerprint("openai/x", "llm")
    monkeypatch.setenv("OPENAI_API_BASE", "http://elsewhere")
    assert before != models.fingerprint("openai/x", "llm")


@pytest.mark.parametrize(
    ("model", "kind", "said"),
    [
        ("gpt-4", "llm", "OPENAI_API_KEY"),
        ("claude-sonnet-4", "llm", "ANTHROPIC_API_KEY"),
        ("no-such-provider-model", "llm", "No provider"),
        ("text-embedding-ada-002", "embed", "OPENAI_API_KEY"),
        ("nobody/no-such-embedder", "embed", "not on this machine"),
    ],
)
async def test_models_that_cannot_be_had(
    models: ModelService, model: str, kind: str, said: str
) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await models.check(model, kind)  # type: ignore[arg-type]
    assert said in caught.value.message
    assert ("extractive" if kind == "llm" else "default") in caught.value.fix


async def test_what_is_built_in_passes_the_check(models: ModelService) -> None:
    await models.check("extractive", "llm")
    await models.check("default", "embed")
    await models.check("cross-encoder", "rerank")
    await models.check("ollama/llama3", "llm")
    ready = {entry["name"]: entry["ready"] for entry in await models.available()}
    assert ready["bge-small-en-v1.5"]
    assert ready["multilingual"]
    assert ready["extractive"]
    assert not ready["openai/…"]


async def test_quoting_passages_is_not_writing(models: ModelService) -> None:
    with pytest.raises(ModelUnavailable, match="cannot write") as caught:
        await complete(models, "extractive")
    assert "language model" in caught.value.fix
    assert "extractive" not in caught.value.fix


@pytest.mark.usefixtures("provider")
async def test_completions_stream(models: ModelService) -> None:
    assert await complete(models, "openai/tiny") == WORDS


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("openai/status-401", "model_unavailable"),
        ("openai/status-404", "model_unavailable"),
        ("openai/status-429", "provider_rate_limit"),
        ("openai/status-400", "provider_error"),
        ("openai/status-500", "provider_unreachable"),
        ("openai/status-503", "provider_unreachable"),
        ("openai/silent", "provider_timeout"),
        ("openai/stalls", "provider_timeout"),
        ("openai/breaks-off", "provider_error"),
        ("openai/wordless", "provider_error"),
    ],
)
async def test_what_goes_wrong_at_a_provider_is_said_plainly(
    models: ModelService, model: str, code: str
) -> None:
    with pytest.raises(RagloomError) as caught:
        await complete(models, model, timeout_s=1.0 if code == "provider_timeout" else 20)
    assert caught.value.code == code
    assert caught.value.fix
    assert "secret-key" not in str(caught.value)


async def test_a_provider_that_cannot_be_reached(
    models: ModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with pytest.raises(RagloomError) as caught:
        await complete(models, "openai/tiny")
    _forget_clients()
    assert caught.value.code == "provider_unreachable"


@pytest.mark.usefixtures("provider")
async def test_a_provider_embeds(models: ModelService) -> None:
    vectors = await models.embed(["a", "bb"], kind="passage", model="openai/tiny-embed")
    assert vectors.shape == (2, 3)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)


@pytest.mark.usefixtures("provider")
async def test_batches_are_as_large_as_the_provider_takes(models: ModelService) -> None:
    texts = [f"text {n}" for n in range(40)]
    vectors = await models.embed(texts, kind="passage", model="openai/at-most-7")
    assert vectors.shape == (40, 3)
    few = await models.embed(texts, kind="passage", model="openai/at-most-5", batch_size=5)
    assert np.array_equal(vectors, few)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("openai/status-401", "model_unavailable"),
        ("openai/status-404", "model_unavailable"),
        ("openai/status-429", "provider_rate_limit"),
        ("openai/status-400", "provider_error"),
    ],
)
async def test_why_a_provider_does_not_embed(models: ModelService, model: str, code: str) -> None:
    with pytest.raises(RagloomError) as caught:
        await models.embed(["a"], kind="passage", model=model)
    assert caught.value.code == code
    assert "default" in caught.value.fix or "quota" in caught.value.fix
    assert "secret-key" not in str(caught.value)


async def test_an_embedding_provider_that_is_down(
    models: ModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with pytest.raises(RagloomError) as caught:
        await models.embed(["a"], kind="passage", model="openai/tiny-embed")
    _forget_clients()
    assert caught.value.code == "provider_unreachable"
