"""Problems of nodes: their types, their settings, and inputs that nothing is wired to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from app.engine import expressions
from app.engine.codec import decode_outputs
from app.engine.fits import Fits
from app.engine.graph import NodeSpec, migrated_config
from app.engine.node import Port
from app.engine.problems import Problem, RagloomError
from app.engine.registry import AnyNode
from app.engine.validation_inside import problems_inside
from app.engine.values import PortValue
from app.engine.wiring import Wiring
from app.engine.wording import bad_setting, either

logger = logging.getLogger(__name__)


class NodeChecks:
    """Checks nodes of one graph."""

    def __init__(self, wiring: Wiring, fits: Fits, depth: int) -> None:
        """`depth` counts the workflows around this one."""
        self.wiring = wiring
        self.registry = wiring.registry
        self.fits = fits
        self.depth = depth
        self.value_types = wiring.registry.value_types()

    def problems(self, node: NodeSpec) -> Iterable[Problem]:
        """What is wrong with one of them."""
        cls = self.wiring.classes.get(node.id)
        if cls is None:
            near = self.fits.similar(node.type, (c.type for c in self.registry))
            yield Problem(
                code="unknown_type",
                message=f"“{node.title or node.id}” is of the type “{node.type}”, "
                "which is not installed here.",
                fix=f"Did you mean “{near}”?"
                if near
                else "Install the package that brings it, or replace the node.",
                node=node.id,
                found=node.type,
                expected=near,
            )
            return
        if not node.disabled and node.pinned is None:
            yield from self._config(node, cls)
            yield from self._required_inputs(node)
        yield from self._given_outputs(node, cls)

    def _config(self, node: NodeSpec, cls: AnyNode) -> Iterable[Problem]:
        title = self.wiring.title(node.id)
        if node.version > cls.version:
            yield Problem(
                code="newer_node",
                message=f"“{title}” was made for version {node.version} of its type; "
                f"version {cls.version} is installed.",
                fix="Update Ragloom or the package that brings the node.",
                node=node.id,
                found=node.version,
                expected=cls.version,
            )
            return
        try:
            config = migrated_config(node, cls)
        except Exception as error:  # a node's own code, over settings of any shape
            yield Problem(
                code="migration_failed",
                message=f"The settings of “{title}”, of version {node.version}, could not be "
                f"brought to version {cls.version}: {error!r}.",
                fix="Remove the node and add it again.",
                node=node.id,
                found=node.version,
                expected=cls.version,
            )
            return
        yield from self._settings(node, cls, config)
        yield from self._own_problems(node, cls, config)
        if cls.has_body:
            yield from problems_inside(node.id, title, config, self.registry, self.depth)

    def _settings(self, node: NodeSpec, cls: AnyNode, config: dict[str, Any]) -> Iterable[Problem]:
        written = expressions.find(config)
        title = self.wiring.title(node.id)
        try:
            cls.Config.model_validate(config)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                # What an expression gives is checked when it is evaluated.
                if not any(_covers(path, item["loc"]) for path in written):
                    yield bad_setting(node.id, title, cls, item)
        except Exception as error:  # a node's own validators, over an expression's object
            logger.debug("Settings of %s could not be checked: %r", node.id, error)
        if not written:
            return
        names = self.wiring.inputs(node.id)
        for path, source in list(written.items())[: expressions.MAX_EXPRESSIONS]:
            for problem in expressions.check(source, names):
                field = expressions.dotted(path)
                yield problem.model_copy(
                    update={
                        "node": node.id,
                        "field": field,
                        "message": f"“{title}”, setting “{field}”: {problem.message}",
                    }
                )
        if len(written) > expressions.MAX_EXPRESSIONS:
            yield Problem(
                code="too_many_expressions",
                message=f"“{title}” has {len(written):,} expressions in its settings; "
                f"the limit is {expressions.MAX_EXPRESSIONS}.",
                fix="Work some of them out in a node before.",
                node=node.id,
            )

    def _own_problems(
        self, node: NodeSpec, cls: AnyNode, config: dict[str, Any]
    ) -> Iterable[Problem]:
        try:
            found = cls.problems(config)
        except Exception as error:  # a node's own code, over settings of any shape
            logger.debug("%s could not check its settings: %r", node.id, error)
            return
        for code, message, fix, severity in found:
            yield Problem(
                code=code,
                message=message,
                fix=fix,
                node=node.id,
                severity="warning" if severity == "warning" else "error",
            )

    def _required_inputs(self, node: NodeSpec) -> Iterable[Problem]:
        for port in self.wiring.inputs(node.id).values():
            if port.required and not self.wiring.edges_into(node.id, port.name):
                sources = self.fits.sources_for(node.id, port)
                what = "a value" if port.value_type is PortValue else port.type_name
                yield Problem(
                    code="unconnected_input",
                    message=f"“{self.wiring.title(node.id)}” needs {what} at its input "
                    f"“{port.name}”, but nothing is connected to it.",
                    fix=f"Connect {either(sources)} to it." if sources else self._add_source(port),
                    node=node.id,
                    port=port.name,
                    expected={"type": port.type_name, "sources": sources},
                )

    def _add_source(self, port: Port) -> str:
        makers = self.fits.makers_of(port.value_type)
        if makers:
            return f"Add a node that gives {port.type_name}, such as {either(makers)}."
        return f"Connect an output of the type {port.type_name} to it."

    def _given_outputs(self, node: NodeSpec, cls: AnyNode) -> Iterable[Problem]:
        fallback = node.on_error.get("fallback") if isinstance(node.on_error, dict) else None
        for what, data in (("pinned", node.pinned), ("fallback", fallback)):
            if data is None:
                continue
            try:
                decode_outputs(
                    cls,
                    data,
                    self.value_types,
                    node.id,
                    self.wiring.types,
                    config=node.config,
                )
            except RagloomError as error:
                yield Problem(
                    code=f"bad_{what}",
                    message=f"The {what} value of “{self.wiring.title(node.id)}” does not fit: "
                    f"{error.message}",
                    fix=error.fix,
                    node=node.id,
                    port=error.details.get("port"),
                    field=what,
                )


def _covers(path: expressions.Path, loc: tuple[int | str, ...]) -> bool:
    """Whether a fault that pydantic found at `loc` lies at an expression.

    Between the parts of the path, `loc` also names the arms of unions.
    """
    rest = iter(loc)
    return all(part in rest for part in path)
