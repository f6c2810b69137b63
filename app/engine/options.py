"""What a run does with its graph: how far, from where, with which given values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

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
    #: Run to here: these and what they need.
    targets: tuple[str, ...] | None = None
    #: This node and everything after it; the rest is taken from `given`.
    start_from: str | None = None
    #: Exactly these: a node alone, or a selection.
    only: tuple[str, ...] | None = None
    #: node -> outputs (JSON data by port) used instead of running it; {} for a node that was
    #: skipped.
    given: dict[str, dict[str, Any]] = {}
    #: node -> signature its given outputs are kept under, so that what follows is still reused.
    #: For the keeper of the history only: a wrong key would mix up results.
    given_keys: dict[str, str] = {}
    #: node -> input port -> JSON data, in place of what the wires bring.
    inputs: dict[str, dict[str, Any]] = {}
    #: node -> settings that replace those of the graph, for this run.
    config: dict[str, dict[str, Any]] = {}
    #: node -> outputs, as if pinned.
    pin: dict[str, dict[str, Any]] = {}
    #: Nodes whose kept results are not used; `start_from` is one of them.
    fresh: tuple[str, ...] = ()
    #: Nothing is written: nodes that fill a knowledge base tell what they would do.
    dry: bool = False

    def mentioned(self) -> set[str]:
        """Ids of every node the options speak of."""
        start = (self.start_from,) if self.start_from is not None else ()
        maps = (self.given, self.inputs, self.config, self.pin)
        lists = (self.targets or (), self.only or (), start, self.fresh)
        return {node for part in (*maps, *lists) for node in part}
