"""What a person asks to run: everything, a part of it, alone, step by step or in the background."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.engine.options import RunOptions


@dataclass(frozen=True)
class RunRequest:
    """One way to run the workflow."""

    options: RunOptions | None = None
    #: Whether what is left out is taken from the run that is shown.
    on_shown: bool = False
    #: One node at a time, each at a press of a button.
    step: bool = False
    #: Goes on without the page.
    background: bool = False
    #: Node whose data is shown while it runs.
    look_at: str = ""

    @property
    def dry(self) -> bool:
        """Whether nothing is written."""
        return self.options is not None and self.options.dry

    def trying(self) -> RunRequest:
        """The same, without writing."""
        options = (self.options or RunOptions()).model_copy(update={"dry": True})
        return replace(self, options=options)

    @property
    def only(self) -> tuple[str, ...] | None:
        """The nodes that run, where others only stand in with what they gave before."""
        return self.options.only if self.options is not None else None

    @property
    def partial(self) -> bool:
        """Whether it runs less than the whole workflow."""
        return self.options is not None and (
            self.options.targets is not None
            or self.options.start_from is not None
            or self.options.only is not None
        )


def run_to(node: str) -> RunRequest:
    """A node and what it needs."""
    return RunRequest(RunOptions(targets=(node,)), look_at=node)


def run_from(node: str) -> RunRequest:
    """A node and all that follows; the rest comes from the run that is shown."""
    return RunRequest(RunOptions(start_from=node), on_shown=True, look_at=node)


def run_again(node: str) -> RunRequest:
    """Everything, reusing what is known, but for this node, whose result is made anew."""
    return RunRequest(RunOptions(fresh=(node,)), look_at=node)


def run_alone(node: str, inputs: Mapping[str, Any]) -> RunRequest:
    """One node, with these inputs, whether its result is known or not."""
    given = {node: dict(inputs)} if inputs else {}
    options = RunOptions(only=(node,), inputs=given, fresh=(node,))
    return RunRequest(options, on_shown=True, look_at=node)


def run_only(nodes: Sequence[str]) -> RunRequest:
    """These nodes; what they need from others comes from the run that is shown."""
    return RunRequest(RunOptions(only=tuple(nodes)), on_shown=True)


def run_fresh(nodes: Iterable[str]) -> RunRequest:
    """Everything, without reusing a result."""
    return RunRequest(RunOptions(fresh=tuple(nodes)))


def by_steps(nodes: Iterable[str]) -> RunRequest:
    """Every node works, one at each press of a button."""
    return RunRequest(RunOptions(fresh=tuple(nodes)), step=True)
