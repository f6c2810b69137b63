"""What a run does with its graph: how far, from where, with which given values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

#: Reasons of steps whose outputs were given instead of made; they take no inputs.
KEPT = "kept from an earlier run"
PINNED = "pinned outputs"
PINNED_SAME = "pinned outputs, the same as it last gave"


class RunOptions(BaseModel):
    """Which nodes run, and what stands in for the others. All data is JSON data.

    A node outside of what is asked for never runs: where its value is needed, it comes from
    `given`, from its pinned outputs, or from `inputs`; else preparing the run says what is missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    targets: tuple[str, ...] | None = Field(
        None, description="Run to here: these nodes and what they need."
    )
    start_from: str | None = Field(
        None,
        description="Run from here: this node and everything after it; the rest is taken from "
        "“given” or the run that it begins with.",
    )
    only: tuple[str, ...] | None = Field(
        None, description="Exactly these nodes: one alone, or a selection."
    )
    given: dict[str, dict[str, Any]] = Field(
        {},
        description="Node -> outputs by port, used instead of running it; {} for one that was "
        "skipped.",
    )
    # For the keeper of the history only: a wrong key would mix up results.
    given_keys: dict[str, str] = Field(
        {},
        description="Node -> signature its given outputs are kept under, so that what follows is "
        "still reused.",
    )
    inputs: dict[str, dict[str, Any]] = Field(
        {}, description="Node -> input port -> value, in place of what the wires bring."
    )
    config: dict[str, dict[str, Any]] = Field(
        {}, description="Node -> settings that replace its own, for this run."
    )
    pin: dict[str, dict[str, Any]] = Field({}, description="Node -> outputs by port, as if pinned.")
    fresh: tuple[str, ...] = Field(
        (), description="Nodes whose kept results are not used; “start_from” is one of them."
    )
    dry: bool = Field(
        False,
        description="Write nothing: nodes that fill a knowledge base tell what they would do.",
    )

    def mentioned(self) -> set[str]:
        """Ids of every node the options speak of."""
        start = (self.start_from,) if self.start_from is not None else ()
        maps = (self.given, self.inputs, self.config, self.pin)
        lists = (self.targets or (), self.only or (), start, self.fresh)
        return {node for part in (*maps, *lists) for node in part}
