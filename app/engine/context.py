"""What a node may touch besides its inputs: the world it is handed, as protocols.

Services implement them; tests hand in small real ones. Nothing here imports either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from app.engine.problems import RagloomError
from app.engine.values import PORT_TYPES, Chunk, Document, PortValue

if TYPE_CHECKING:
    import numpy as np

    from app.engine.body import Body
    from app.engine.events import Event
    from app.engine.graph import Graph

SearchType = Literal["semantic", "keyword", "hybrid", "adaptive"]


class SearchRequest(BaseModel):
    """A search of one knowledge base at one ref."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    query: str
    search_type: SearchType = "hybrid"
    k: int = 10
    #: Share of the semantic side in hybrid fusion, 0 (keyword only) .. 1 (semantic only).
    semantic_weight: float = 0.5
    score_threshold: float | None = None
    #: field -> value, or field -> {"$in": […], "$gte": …, "$lte": …, "$ne": …}; all must hold.
    filters: dict[str, Any] = {}
    #: Branch, tag or commit id.
    ref: str = "main"
    target_languages: tuple[str, ...] = ()
    #: “parent”: small chunks are found, the larger passages they stand in are returned.
    expand: Literal["none", "parent"] = "none"


class SearchOutcome(BaseModel):
    """Chunks best first, and what produced them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    chunks: tuple[Chunk, ...]
    knowledge_base_id: str
    commit: str
    search_type: SearchType
    took_ms: float


class IndexPreview(BaseModel):
    """What indexing one document would change in it, in chunks."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    same: int
    changed: int
    added: int
    removed: int
    #: Texts whose vectors are not known yet, and their length in tokens of the default embedder.
    to_embed: int
    tokens: int


class IndexReport(BaseModel):
    """What indexing one document did."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    document_id: str
    filename: str
    #: "added", "updated" or "unchanged".
    change: str
    chunks: int
    #: Texts whose vectors were computed now (the others were known already).
    embedded: int
    #: The commit; the one there is already where nothing is written.
    commit: str
    #: Set where nothing was written; `change` and `embedded` are what would be, then.
    preview: IndexPreview | None = None


class KnowledgeBases(Protocol):
    """Knowledge bases as nodes see them; `kb` is an id or a name."""

    async def resolve(self, kb: str, ref: str = "main") -> tuple[str, str]:
        """Return (knowledge base id, commit id). Raises RagloomError 'not_found'."""

    async def search(self, kb: str, request: SearchRequest) -> SearchOutcome:
        """Search `kb`."""

    async def vectors(self, kb: str, chunk_ids: Sequence[str]) -> np.ndarray:
        """Stored unit vectors of chunks, shape (n, dim), float32."""

    async def glossary(self, kb: str, ref: str = "main") -> Mapping[str, str]:
        """Acronym -> expansion as defined in the documents ("knowledge base (KB)")."""

    async def vocabulary(self, kb: str, ref: str = "main") -> Mapping[str, int]:
        """Lower-cased word -> number of chunks that hold it."""

    async def index(
        self,
        kb: str,
        document: Document,
        chunks: Sequence[Chunk],
        *,
        ref: str = "main",
        processing: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexReport:
        """Embed what is new and commit the document's version to `ref`, in one transaction."""


class TokenSpans(Protocol):
    """Splits text into tokens."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters (start, end) each token covers, in order."""


class Models(Protocol):
    """Models by name; "default" is the embedded one."""

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"], model: str = "default"
    ) -> np.ndarray:
        """Unit vectors, shape (len(texts), dim), float32."""

    async def tokenizer(self, model: str = "default") -> TokenSpans:
        """Tells which characters each token of a text covers, for this embedding model."""

    async def rerank(
        self, query: str, passages: Sequence[str], *, model: str = "default"
    ) -> Sequence[float]:
        """Relevance of each passage to the query, 0..1."""

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
        """Stream the completion of a chat by any litellm model, token by token.

        `response_format` asks for JSON as the OpenAI protocol does; a provider that does not
        know it answers in text. `on_usage` is called at most once, at the end, with what the
        provider itself reported: prompt_tokens, completion_tokens, and cost_usd where its price
        is known. A provider that reports nothing leaves it uncalled.
        """

    def fingerprint(self, model: str, kind: Literal["embed", "rerank", "llm"]) -> str:
        """A string that changes when the model behind the name does."""


class Files(Protocol):
    """Original files by content hash, and their extraction in guarded worker processes."""

    async def path(self, blob: str) -> Path:
        """Local path of an original."""

    async def extract(self, document: Document, options: Mapping[str, Any]) -> Document:
        """Return the document with blocks, pages, title, language and metadata filled in."""


class Secret(BaseModel):
    """Stands for the value of the server's variable RAGLOOM_SECRET_<name> in a request's header."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str


class WebRequest(BaseModel):
    """A request to a web server."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str
    method: str = "GET"
    #: Name -> pieces that are joined; secrets are filled in where the request is sent.
    headers: dict[str, tuple[str | Secret, ...]] = {}
    body: bytes = b""
    timeout_s: float = 30.0
    #: Largest response body, unpacked, in bytes.
    max_bytes: int = 2_000_000
    max_redirects: int = 5


class WebResponse(BaseModel):
    """What the server answered; secrets that it repeated are blotted out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    status: int
    #: Where the answer came from, after redirects.
    url: str
    #: Lower-case name -> value.
    headers: dict[str, str]
    body: bytes


class Web(Protocol):
    """Web servers, as far as the settings of this server allow them."""

    def check(self, url: str) -> None:
        """Raise RagloomError 'host_not_allowed' or 'bad_url' unless `url` may be asked."""

    async def fetch(self, request: WebRequest) -> WebResponse:
        """Send a request; every redirect is checked like the first address.

        Raises RagloomError whose code says why there is no answer; an answer with an error
        status is an answer.
        """


class PageReader(Protocol):
    """Reads pages of web servers as politely as they ask."""

    async def sitemap(
        self, url: str, *, include: Sequence[str], exclude: Sequence[str], max_pages: int
    ) -> Sequence[str]:
        """Addresses of the pages that a sitemap lists, on its own host.

        `include` and `exclude` are patterns of paths. Raises RagloomError.
        """

    async def page(self, url: str, *, sitemap: str = "") -> Document:
        """A page as a file that is not read yet; one of `sitemap` as robots.txt allows.

        Raises RagloomError whose code says why it cannot be had.
        """

    async def close(self) -> None:
        """Ask for nothing more."""


class Pages(Protocol):
    """Pages of web servers, as far as the settings of this server allow them."""

    def reader(self, *, max_bytes: int, pause_s: float) -> PageReader:
        """Something that reads pages of at most `max_bytes`; to be closed."""


class Workflows(Protocol):
    """Stored workflows, for nodes that run one inside them."""

    async def graph(
        self, workflow_id: str, revision: int | None = None
    ) -> tuple[Mapping[str, Any], int]:
        """The `ragloom/1` data of a revision (None: the latest) and its number.

        Raises RagloomError 'not_found'.
        """


class World(Protocol):
    """Everything outside the graph that nodes may use.

    It may also have `workflows: Workflows`; without it, no stored workflow runs inside another;
    and `pages: Pages`, without which no pages are fetched.
    """

    @property
    def knowledge(self) -> KnowledgeBases:
        """Knowledge bases."""

    @property
    def models(self) -> Models:
        """Models."""

    @property
    def files(self) -> Files:
        """Original files."""

    @property
    def web(self) -> Web:
        """Web servers."""


@runtime_checkable
class CanTry(Protocol):
    """A world that can be used without changing anything."""

    def trying(self) -> World:
        """The same world, where indexing writes nothing and tells what it would do."""


#: Asks a person: (run id, node id, message, form) -> decision
#: `{"approved": bool, "comment": str, "value": …, "by": str}`.
Approvals = Callable[[str, str, str, dict[str, Any]], Awaitable[dict[str, Any]]]


class Surroundings(Protocol):
    """What the engine does for a node that runs: behind the methods of its context."""

    def use(self, amounts: Mapping[str, float]) -> None:
        """Add to the node's usage."""

    async def approval(self, message: str, form: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for a person's decision."""

    async def run_graph(
        self,
        body: Body | Graph | Mapping[str, Any],
        inputs: Mapping[str, PortValue | None],
        item: str,
    ) -> dict[str, PortValue | None]:
        """Run a workflow inside the node."""


@dataclass(slots=True)
class NodeContext:
    """What one run of one node is handed besides its inputs."""

    run_id: str
    node_id: str
    world: World
    #: Values given to the run (`input_data`); input nodes read theirs from here.
    input_data: Mapping[str, Any] = field(default_factory=dict)
    emit: Callable[[Event], None] = field(default=lambda event: None)
    #: Values of the workflow that its nodes share, by name; those that the node reads.
    variables: Mapping[str, Any] = field(default_factory=dict)
    #: Port types by name, with those of third parties.
    types: Mapping[str, type[PortValue]] = field(default_factory=lambda: PORT_TYPES)
    surroundings: Surroundings | None = None

    def use(
        self,
        *,
        prompt_tokens: float = 0,
        completion_tokens: float = 0,
        cost_usd: float = 0,
        calls: float = 1,
    ) -> None:
        """Add what a call of a model used to the usage of this node."""
        if self.surroundings is not None:
            self.surroundings.use(
                {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": completion_tokens,
                    "cost_usd": cost_usd,
                    "calls": calls,
                }
            )

    async def approval(self, message: str, form: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Wait for a person; return `{"approved": bool, "comment": str, "value": …, "by": str}`.

        The time it takes counts neither against the timeout of the node nor against the nodes
        that may work at once. Raises RagloomError “no_approvals” where nobody can be asked.
        """
        return await self._engine().approval(message, form or {})

    async def run_graph(
        self,
        body: Body | Graph | Mapping[str, Any],
        inputs: Mapping[str, PortValue | None],
        *,
        item: str = "",
    ) -> dict[str, PortValue | None]:
        """Run a workflow inside this node and return its named results, None where skipped.

        `inputs` go to the inlets and input nodes of those names. `item` tells runs of the same
        body apart. Several may run at once. Raises NodeFailed, which names the inner node.
        """
        return await self._engine().run_graph(body, inputs, item)

    def _engine(self) -> Surroundings:
        if self.surroundings is None:
            raise RagloomError("This node runs outside of a workflow.", code="no_run")
        return self.surroundings

    def token(self, text: str) -> None:
        """Stream a piece of output to whoever watches the run."""
        from app.engine.events import TokenEvent

        self.emit(TokenEvent(run_id=self.run_id, node_id=self.node_id, text=text))

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Tell watchers how far this node is."""
        from app.engine.events import NodeProgress

        self.emit(
            NodeProgress(
                run_id=self.run_id, node_id=self.node_id, done=done, total=total, message=message
            )
        )
