"""One class declares a node: ports, form, look and reference page all follow from it."""

from __future__ import annotations

import builtins
import inspect
import logging
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from app.engine.context import NodeContext, World
from app.engine.values import PortValue

log = logging.getLogger(__name__)


class NodeConfig(BaseModel):
    """Base of every node's settings: unknown keys are errors, every field has a description."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class NodeOutputs(BaseModel):
    """Base of every node's outputs. A field left None is a branch not taken."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)


class OpenOutputs(NodeOutputs):
    """Outputs of a node whose output ports follow from its settings.

    `self.Outputs(**{"name": value})` takes any names; they are checked against `outputs_for`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PortValue | None]


@dataclass(frozen=True, slots=True)
class SameAs:
    """Marks an output that passes on what came in: its type is that of the named input.

    `Annotated[PortValue | None, SameAs("value")]`
    """

    input: str


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a node."""

    name: str
    value_type: type[PortValue]
    #: Inputs: an unconnected port is a problem. Outputs: always emitted.
    required: bool
    #: Inputs annotated `list[X]` take any number of edges, in the order of the file.
    many: bool = False
    same_as: str | None = None
    #: One line for tooltips: a string in `Annotated[…]` of an input, `description` of an output.
    help: str = ""
    #: Inputs: what `run` gets where no value arrives.
    default: Any = None

    @property
    def type_name(self) -> str:
        """Name of the port's type."""
        return self.value_type.type_name


C = TypeVar("C", bound=NodeConfig)


class Node(Generic[C]):
    """Base of every node. Subclasses set the class variables and write `run`.

    Inputs are `run`'s parameters (all but `ctx`): `chunks: Chunks` is required,
    `hint: Text | None = None` is optional, `parts: list[Chunks]` takes several edges.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    #: inputs, text, retrieval, generation, checks, logic, documents or outputs.
    family: ClassVar[str]
    #: Material icon name.
    icon: ClassVar[str]
    #: False for nodes whose effect is outside the graph (writing to an index): never reused.
    cacheable: ClassVar[bool] = True
    #: Seconds a run may take unless the workflow says otherwise.
    timeout_s: ClassVar[float] = 120.0
    #: True for nodes that run a workflow inside them (`ctx.run_graph`). Such a node always runs
    #: itself; the results of the steps inside it are reused one by one.
    has_body: ClassVar[bool] = False
    #: Output port -> setting that names it among the results of a workflow.
    named_by: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: A wired node that no wire brings a value lies on a branch not taken, and is skipped. True for
    #: nodes that run all the same: on what they are set to, or to tell that nothing came.
    runs_without_values: ClassVar[bool] = False

    Config: ClassVar[builtins.type[NodeConfig]] = NodeConfig
    Outputs: ClassVar[builtins.type[NodeOutputs]]

    def __init__(self, config: C) -> None:
        self.config = config

    async def run(self, *args: Any, **kwargs: Any) -> NodeOutputs:
        """Turn inputs into outputs."""
        raise NotImplementedError

    async def fingerprint(self, world: World) -> str:
        """State outside the graph this node's result depends on (commit id, model id)."""
        return ""

    @classmethod
    def result_name(cls, port: str, config: Mapping[str, Any]) -> str:
        """Name of an output among the results of a workflow that names none itself."""
        setting = cls.named_by.get(port)
        if setting is None:
            return port
        named = config.get(setting, cls.Config.model_fields[setting].default)
        return named if isinstance(named, str) and named else port

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words of what it will do with these settings: “top 5 by cross-encoder”."""
        return ""

    @classmethod
    def migrate(cls, config: dict[str, Any], from_version: int) -> dict[str, Any]:
        """Bring the settings of an older version of this node up to date."""
        return config

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """What validation should say about these settings beyond their schema.

        Each as (code, message, fix, severity), where severity is "error" or "warning".
        """
        return []

    @classmethod
    def reads(cls, config: C) -> tuple[str, ...] | None:
        """Keys of the run's `input_data` that the result depends on; None stands for all.

        `ctx.input_data` holds these and no others. A node without inputs, and one with a body,
        reads all of them unless it says otherwise; any other node reads none.
        """
        takes = bool(cls.input_ports()) or cls.takes_any_input()
        return () if takes and not cls.has_body else None

    @classmethod
    def reads_variables(cls, config: C) -> tuple[str, ...] | None:
        """Names of the workflow's variables that the result depends on; None stands for all.

        `ctx.variables` holds these and no others. Unless a node says otherwise, it reads all of
        them when the word “variables” stands in its settings (a template that uses them has
        it), or when it has a body; else none.
        """
        return None if cls.has_body or "variables" in config.model_dump_json() else ()

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """Input ports of a node with these settings, which may be of any shape.

        A node whose inputs follow from its settings overrides this and takes them as `**inputs`.
        """
        return cls.input_ports()

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """Output ports of a node with these settings, which may be of any shape.

        A node whose outputs follow from its settings overrides this and declares
        `class Outputs(OpenOutputs)`.
        """
        return cls.output_ports()

    @classmethod
    def input_ports(cls) -> dict[str, Port]:
        """Ports from `run`'s parameters."""
        cached: dict[str, Port] | None = cls.__dict__.get("_input_ports")
        if cached is None:
            # `-> Outputs` names a class nested in the node, which module globals do not hold.
            nested = {"Config": cls.Config, "Outputs": cls.Outputs}
            hints = typing.get_type_hints(cls.run, localns=nested, include_extras=True)
            cached = {}
            for name, parameter in inspect.signature(cls.run).parameters.items():
                if name == "self" or parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                    continue
                if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                    cls._open_inputs = True  # type: ignore[attr-defined]
                    continue
                if name == "ctx" or hints.get(name) is NodeContext:
                    cls._context_name = name  # type: ignore[attr-defined]
                    continue
                optional = parameter.default is not inspect.Parameter.empty
                port = _port(cls, name, hints[name], has_default=optional)
                cached[name] = replace(port, default=parameter.default) if optional else port
            cls._input_ports = cached  # type: ignore[attr-defined]
        return cached

    @classmethod
    def takes_any_input(cls) -> bool:
        """Whether `run` has `**inputs`: its inputs follow from its settings."""
        cls.input_ports()
        return bool(cls.__dict__.get("_open_inputs", False))

    @classmethod
    def context_parameter(cls) -> str | None:
        """Name of the parameter of `run` that takes the context, if it has one."""
        cls.input_ports()
        name: str | None = cls.__dict__.get("_context_name")
        return name

    @classmethod
    def output_ports(cls) -> dict[str, Port]:
        """Ports from the fields of `Outputs`."""
        cached: dict[str, Port] | None = cls.__dict__.get("_output_ports")
        if cached is None:
            hints = typing.get_type_hints(cls.Outputs, include_extras=True)
            cached = {
                name: _port(
                    cls,
                    name,
                    hints[name],
                    has_default=not field.is_required(),
                    help=field.description or "",
                )
                for name, field in cls.Outputs.model_fields.items()
            }
            cls._output_ports = cached  # type: ignore[attr-defined]
        return cached


def has_static_inputs(cls: type[Node[Any]]) -> bool:
    """Whether the inputs of a node are the same whatever its settings are."""
    return cls.inputs_for.__func__ is Node.inputs_for.__func__  # type: ignore[attr-defined]


def has_static_outputs(cls: type[Node[Any]]) -> bool:
    """Whether the outputs of a node are the same whatever its settings are."""
    return cls.outputs_for.__func__ is Node.outputs_for.__func__  # type: ignore[attr-defined]


def input_ports(cls: type[Node[Any]], config: Mapping[str, Any]) -> dict[str, Port]:
    """`cls.inputs_for(config)`; the static ports where a node's own code trips over settings."""
    try:
        return cls.inputs_for(config)
    except Exception:  # a node's own code, over settings of any shape
        log.debug("No inputs of %s for these settings", cls.type, exc_info=True)
        return cls.input_ports()


def output_ports(cls: type[Node[Any]], config: Mapping[str, Any]) -> dict[str, Port]:
    """`cls.outputs_for(config)`; the static ports where a node's own code trips over settings."""
    try:
        return cls.outputs_for(config)
    except Exception:  # a node's own code, over settings of any shape
        log.debug("No outputs of %s for these settings", cls.type, exc_info=True)
        return cls.output_ports()


def _port(owner: type, name: str, hint: Any, *, has_default: bool, help: str = "") -> Port:
    same_as = None
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        same_as = next((m.input for m in marks if isinstance(m, SameAs)), None)
        help = help or next((m for m in marks if isinstance(m, str)), "")
    optional = has_default
    if get_origin(hint) in (Union, types.UnionType):
        arms = [a for a in get_args(hint) if a is not type(None)]
        optional = optional or len(arms) < len(get_args(hint))
        if len(arms) != 1:
            raise TypeError(f"{owner.__name__}.{name}: a port has one type, not {hint}")
        hint = arms[0]
    many = get_origin(hint) is list
    if many:
        (hint,) = get_args(hint)
    if not (isinstance(hint, type) and issubclass(hint, PortValue)):
        raise TypeError(f"{owner.__name__}.{name}: {hint!r} is not a port type")
    return Port(
        name=name,
        value_type=hint,
        required=not optional,
        many=many,
        same_as=same_as,
        help=help or hint.type_help,
    )
