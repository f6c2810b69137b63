"""Which node types exist: registered by call or found through entry points."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from app.engine.node import Node
from app.engine.problems import Problem, RagloomError
from app.engine.values import PORT_TYPES, PortValue

logger = logging.getLogger(__name__)

#: Entry-point group that third parties add nodes through. An entry is a `Node` class or a
#: callable that takes the registry.
ENTRY_POINT_GROUP = "ragloom.nodes"

AnyNode = type[Node[Any]]


class RegistrationError(RagloomError):
    """A node class cannot be registered."""

    code = "bad_node_class"


class DuplicateNodeType(RegistrationError):
    """Two classes claim the same node type."""

    code = "duplicate_node_type"


class Registry:
    """Node classes by their stable `type`."""

    def __init__(self) -> None:
        self._classes: dict[str, AnyNode] = {}
        self._value_types: dict[str, type[PortValue]] = dict(PORT_TYPES)

    def register(self, cls: AnyNode) -> AnyNode:
        """Add a node class and return it, so that it also serves as a decorator.

        Raises RegistrationError when the class is not a complete declaration, and
        DuplicateNodeType when another class has its type.
        """
        _check_declaration(cls)
        known = self._classes.get(cls.type)
        if known is cls:
            return cls
        if known is not None:
            raise DuplicateNodeType(
                f"Two node classes have the type “{cls.type}”: {_origin(known)} and {_origin(cls)}.",
                fix=f"Rename `type` in one of them, or remove the package that brings {_origin(cls)}.",
                type=cls.type,
            )
        self._classes[cls.type] = cls
        for port in (*cls.input_ports().values(), *cls.output_ports().values()):
            self._value_types.setdefault(port.type_name, port.value_type)
        return cls

    def get(self, type_name: str) -> AnyNode | None:
        """Class of a node type, or None where it is not installed."""
        return self._classes.get(type_name)

    def all(self) -> list[AnyNode]:
        """Every class, in the order of registration."""
        return list(self._classes.values())

    def __contains__(self, type_name: str) -> bool:
        return type_name in self._classes

    def __iter__(self) -> Iterator[AnyNode]:
        return iter(self._classes.values())

    def __len__(self) -> int:
        return len(self._classes)

    def value_types(self) -> dict[str, type[PortValue]]:
        """Every port type by name: the built-in ones and those that nodes brought along."""
        return dict(self._value_types)

    def discover(self) -> list[Problem]:
        """Load every entry point of the group; return what could not be loaded, and why.

        One broken package must not keep the others from loading.
        """
        problems = []
        for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: (e.name, e.value)):
            try:
                self._load(entry)
            except Exception as error:  # any code of a third party runs here
                logger.warning("Nodes of %s were not loaded: %s", _package(entry), error)
                logger.debug("Traceback of the failed load:", exc_info=True)
                fix = error.fix if isinstance(error, RagloomError) else ""
                code = error.code if isinstance(error, RagloomError) else "broken_node_package"
                problems.append(
                    Problem(
                        code=code,
                        message=f"The nodes “{entry.name}” of {_package(entry)} were not loaded: "
                        f"{error.message if isinstance(error, RagloomError) else error!r}",
                        fix=fix or f"Update or uninstall {_package(entry)}.",
                        found=entry.value,
                        severity="warning",
                    )
                )
        return problems

    def _load(self, entry: EntryPoint) -> None:
        loaded = entry.load()
        if isinstance(loaded, type) and issubclass(loaded, Node):
            self.register(loaded)
        elif callable(loaded):
            loaded(self)
        else:
            raise RegistrationError(
                f"{entry.value} is neither a node class nor a function that takes the registry.",
                fix="Point the entry point at one of the two.",
            )


def _check_declaration(cls: AnyNode) -> None:
    missing = [
        name for name in ("type", "title", "family", "icon", "Outputs") if not hasattr(cls, name)
    ]
    if missing:
        raise RegistrationError(
            f"{_origin(cls)} does not declare {', '.join(missing)}.",
            fix="Set them as class variables.",
        )
    if ">" in cls.type or not cls.type:
        raise RegistrationError(
            f"{_origin(cls)}: “{cls.type}” cannot be a node type.",
            fix="Use lower-case letters, digits and underscores.",
        )
    try:
        ports = {**cls.input_ports(), **cls.output_ports()}
    except (TypeError, NameError) as error:
        raise RegistrationError(
            f"The ports of {_origin(cls)} cannot be read: {error}.",
            fix="Annotate each parameter of `run` and each field of `Outputs` with a port type.",
        ) from error
    for port in ports.values():
        if port.same_as is not None and port.same_as not in cls.input_ports():
            raise RegistrationError(
                f"{_origin(cls)}.{port.name} passes on “{port.same_as}”, which is not an input.",
                fix=f"Name one of: {', '.join(cls.input_ports()) or 'none, it has no inputs'}.",
            )


def _origin(cls: AnyNode) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module
