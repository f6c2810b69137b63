"""What a browser may ask of the graph: small operations, checked before anything is touched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from app.engine.problems import RagloomError

from .structure import MAX_TEXT, MAX_TITLE, NOTE_HEIGHT, NOTE_SIZES, NOTE_WIDTH

#: (source node, source port, target node, target port)
Ends = tuple[str, str, str, str]
#: What a variable may be called, so that expressions can name it.
VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"


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
    notes: dict[str, tuple[FiniteFloat, FiniteFloat]] = {}
    label: str = "Move"


class Connect(_Op):
    """Draw a wire."""

    op: Literal["connect"] = "connect"
    source: str
    source_port: str
    target: str
    target_port: str


class Insert(_Op):
    """Put a node that is there already into a wire."""

    op: Literal["insert"] = "insert"
    node: str
    wire: Ends


class Disconnect(_Op):
    """Take wires away."""

    op: Literal["disconnect"] = "disconnect"
    edges: list[Ends]


class Delete(_Op):
    """Delete nodes with their wires, single wires, and notes."""

    op: Literal["delete"] = "delete"
    nodes: list[str] = []
    edges: list[Ends] = []
    notes: list[str] = []


class Duplicate(_Op):
    """Copy nodes and the wires between them, a little further down."""

    op: Literal["duplicate"] = "duplicate"
    nodes: list[str]
    notes: list[str] = []


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
    on_error: Literal["fail", "continue", "skip"] | dict[str, Any] = "fail"
    #: Outputs to use instead of running it, or None to run it again.
    pinned: dict[str, Any] | None = None


class Rename(_Op):
    """Give a node a title."""

    op: Literal["rename"] = "rename"
    node: str
    title: Annotated[str, Field(max_length=200)]
    #: The title that was typed over, where a person did: what it is by now may be another's.
    was: str | None = None


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


class SetVariable(_Op):
    """Give a variable of the workflow a value; `was` is its name until now, where it had one."""

    op: Literal["set_variable"] = "set_variable"
    name: Annotated[str, Field(pattern=VARIABLE_NAME)]
    value: JsonValue
    was: str = ""


class RemoveVariable(_Op):
    """Take a variable out of the workflow."""

    op: Literal["remove_variable"] = "remove_variable"
    name: str


class Paste(_Op):
    """Add the nodes of a workflow-file text, their top left corner at (x, y)."""

    op: Literal["paste"] = "paste"
    text: Annotated[str, Field(max_length=5_000_000)]
    x: FiniteFloat
    y: FiniteFloat


Colour = Literal["amber", "blue", "green", "rose", "violet", "grey"]
NoteSize = Annotated[FiniteFloat, Field(ge=NOTE_SIZES[0], le=NOTE_SIZES[1])]
Title = Annotated[str, Field(max_length=MAX_TITLE)]


class AddNote(_Op):
    """Stick a note onto the canvas."""

    op: Literal["add_note"] = "add_note"
    x: FiniteFloat
    y: FiniteFloat
    width: NoteSize = NOTE_WIDTH
    height: NoteSize = NOTE_HEIGHT
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    colour: Colour = "amber"


class EditNote(_Op):
    """Change what a note says, where it is, or how it looks; only what is given."""

    op: Literal["edit_note"] = "edit_note"
    note: str
    x: FiniteFloat | None = None
    y: FiniteFloat | None = None
    width: NoteSize | None = None
    height: NoteSize | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    colour: Colour | None = None
    #: The text that was typed over: what it says by now may be another's.
    was: str | None = None


class MakeGroup(_Op):
    """Put a frame with a title around nodes and notes; they leave the groups they were in."""

    op: Literal["group"] = "group"
    nodes: list[str]
    notes: list[str] = []
    title: Title = ""
    colour: Colour = "blue"


class SetGroup(_Op):
    """Change title, colour or members of a group; only what is given."""

    op: Literal["set_group"] = "set_group"
    group: str
    title: Title | None = None
    colour: Colour | None = None
    nodes: list[str] | None = None
    notes: list[str] | None = None


class Ungroup(_Op):
    """Take groups away; their nodes stay."""

    op: Literal["ungroup"] = "ungroup"
    groups: list[str]


class LeaveGroup(_Op):
    """Take nodes and notes out of the groups they are in."""

    op: Literal["leave_group"] = "leave_group"
    nodes: list[str]
    notes: list[str] = []


class Collapse(_Op):
    """Replace nodes by one sub-workflow node that holds them, with their notes and groups."""

    op: Literal["collapse"] = "collapse"
    nodes: list[str]
    notes: list[str] = []
    title: Title = ""


class Expand(_Op):
    """Replace a sub-workflow node by the nodes it holds."""

    op: Literal["expand"] = "expand"
    node: str


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
    | Insert
    | Disconnect
    | Delete
    | Duplicate
    | SetConfig
    | SetPolicy
    | Rename
    | SetDisabled
    | SetInfo
    | SetVariable
    | RemoveVariable
    | Paste
    | AddNote
    | EditNote
    | MakeGroup
    | SetGroup
    | Ungroup
    | LeaveGroup
    | Collapse
    | Expand
    | ReplaceGraph
)
#: Operations that leave what is computed as it is.
LOOKS_ONLY = MoveNodes | AddNote | EditNote | MakeGroup | SetGroup | Ungroup | LeaveGroup
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
