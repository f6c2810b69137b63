"""A short tour of the canvas for whoever sees it for the first time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from app.ui import parts


@dataclass(frozen=True, slots=True)
class Stop:
    """One card of the tour: what it points at, what it says, and what to do before the next."""

    title: str
    text: str
    #: CSS selector of what the card stands beside. Where that is not on the screen, a stop that
    #: waits for nothing is passed by.
    target: str = ""
    #: What the person is asked to do, and the selector of what appears when it is done.
    todo: str = ""
    wait: str = ""


CANVAS = (
    Stop(
        "A workflow, step by step",
        "Each card is a step. Wires carry what one step produces to the next; their colours tell "
        "what it is.",
        ".rl-card-wrap",
    ),
    Stop(
        "Ask it something",
        "The workflow looks for passages in a knowledge base and quotes the best sentences. It "
        "runs on this machine.",
        ".rl-runbar",
        "Press Run.",
        ".rl-runbar-answer .rl-answer",
    ),
    Stop(
        "Every sentence names its source",
        "Point at a number: the sentence, the passage and the step that found it light up. Click "
        "it to read the passage in its document.",
        ".rl-runbar-result",
    ),
    Stop(
        "Look inside a step",
        "Settings, what the step received, what it produced, how long it took and why it ran.",
        ".rl-card-wrap",
        "Click a card.",
        ".vue-flow__node.selected",
    ),
    Stop(
        "Change a setting, run again",
        "Steps that depend on the change run; the others keep their results and say so. Undo is "
        "Ctrl Z, and everything is saved as you go.",
        ".rl-inspector",
    ),
    Stop(
        "Add steps of your own",
        "Drag one from the list, press Tab for the quick search, or pull a wire from a port to "
        "see what fits. The ? key lists every shortcut.",
        ".rl-palette",
    ),
    Stop(
        "Your own documents next",
        "Knowledge holds documents with their versions. Add some there, then choose that "
        "knowledge base in the Retrieve step.",
        'a[href="/knowledge"]',
    ),
)


def script() -> str:
    """JavaScript that starts the tour of the canvas."""
    return f"ragloomTour({json.dumps([asdict(stop) for stop in CANVAS])})"


def offer() -> None:
    """A button that starts the tour, for those who have not taken it or sent it away."""
    with parts.div("rl-tour-offer"):
        parts.bare("Show me around", icon="explore").mark("tour").on(
            "click", js_handler=f"() => {script()}"
        )
        parts.icon_button("close", "Not now").on("click", js_handler="() => ragloomTourSeen()")
