"""What a browser may ask of the graph: small operations, checked before anything is touched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from app.engine.problems import RagloomError

#: (source node, source port, target node, target port)
Ends = tuple[str, str, str, str]


class Refused(RagloomError):
    """An edit that would not make sense; the message says why, and nothing was changed."""

    code = "refused"


class _Op(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WireEnd(_Op):
    """The port a dragged wire started from."""

    node: str
    port: str
    #: "source" when the wire comes out of an output, "target" when it was pulled from an input.
    side: Literal["source", "target"]
    type: str = "Any"


class AddNode(_Op):
    """Add a node of a type; wire it to `connect`, or put it into the wire `insert`."""

    op: Literal["add_node"] = "add_node"
    type: str
    x: FiniteFloat
    y: FiniteFloat
    config: dict[str, Any] = {}
    title: str = ""
    connect: WireEnd | None = None
    insert: Ends | None = None
    #: Move it to where it covers no other node.
    free: bool = False


class MoveNodes(_Op):
    """Put nodes where they were dragged to."""

    op: Literal["move_nodes"] = "move_nodes"
    positions: dict[str, tuple[FiniteFloat, FiniteFloat]]
    label: str = "Move"


class Connect(_Op):
    """Draw a wire."""

    op: Literal["connect"] = "connect"
    source: str
    source_port: str
    target: str
    target_port: str


class Disconnect(_Op):
    """Take wires away."""

    op: Literal["disconnect"] = "disconnect"
    edges: list[Ends]


class Delete(_Op):
    """Delete nodes with their wires, and single wires."""

    op: Literal["delete"] = "delete"
    nodes: list[str] = []
    edges: list[Ends] = []


class Duplicate(_Op):
    """Copy nodes and the wires between them, a little further down."""

    op: Literal["duplicate"] = "duplicate"
    nodes: list[str]


class SetConfig(_Op):
    """Replace the settings of a node."""

    op: Literal["set_config"] = "set_config"
    node: str
    config: dict[str, Any]


class SetPolicy(_Op):
    """Change how a node is run; only the given fields change."""

    op: Literal["set_policy"] = "set_policy"
    node: str
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    on_error: Literal["fail", "skip"] | dict[str, Any] = "fail"
    #: Outputs to use instead of running it, or None to run it again.
    pinned: dict[str, Any] | None = None


class Rename(_Op):
    """Give a node a title."""

    op: Literal["rename"] = "rename"
    node: str
    title: Annotated[str, Field(max_length=200)]


class SetDisabled(_Op):
    """Switch nodes off or on."""

    op: Literal["set_disabled"] = "set_disabled"
    nodes: list[str]
    disabled: bool


class SetInfo(_Op):
    """Change name, description or named results of the workflow; only what is given."""

    op: Literal["set_info"] = "set_info"
    name: str | None = None
    description: str | None = None
    outputs: dict[str, tuple[str, str]] | None = None


class Paste(_Op):
    """Add the nodes of a workflow-file text, their top left corner at (x, y)."""

    op: Literal["paste"] = "paste"
    text: Annotated[str, Field(max_length=5_000_000)]
    x: FiniteFloat
    y: FiniteFloat


class ReplaceGraph(_Op):
    """Put another workflow in the place of this one."""

    op: Literal["replace_graph"] = "replace_graph"
    graph: dict[str, Any]
    label: str = "Replace workflow"
    #: Only an explicit yes may leave an empty canvas where there were nodes.
    allow_empty: bool = False


Op = (
    AddNode
    | MoveNodes
    | Connect
    | Disconnect
    | Delete
    | Duplicate
    | SetConfig
    | SetPolicy
    | Rename
    | SetDisabled
    | SetInfo
    | Paste
    | ReplaceGraph
)
_ADAPTER: TypeAdapter[Op] = TypeAdapter(Annotated[Op, Field(discriminator="op")])


def read_op(data: Any) -> Op:
    """Check one operation from a browser. Raises Refused when it is malformed."""
    if isinstance(data, _Op):
        return data  # type: ignore[return-value]
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(
            f"The page sent an edit that cannot be read ({where}: {first['msg']}).",
            fix="Reload the page.",
        ) from error
