"""Data of single nodes on the canvas page: outputs that are pinned, edited and taken along."""

from __future__ import annotations

from functools import partial
from typing import Any

from nicegui import ui

from app.engine.codec import UndecodableValue
from app.services.views import ExecutionView
from app.ui import downloads, parts, text, viewers
from app.ui.canvas.ops import SetPolicy
from app.ui.pages.canvas.bench import Bench
from app.ui.port_data import Slot, input_slots, output_slots, pinnable, pins_of, read_all


class NodeData:
    """Pins and edits what nodes put out, and asks for inputs to run one alone with."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    # ---- pinning ----
    def toggle_pinned(self, node: str) -> None:
        """Pin what a node put out last, or let it run again."""
        bench = self._bench
        spec = bench.editor.graph.nodes[node]
        if spec.pinned is not None:
            bench.apply(SetPolicy(node=node, pinned=None))
            return
        step = bench.step(node)
        if step is None or step.status != "completed" or step.truncated:
            bench.canvas.refuse("Run this node once; its output can be pinned then.")
            return
        try:
            outputs = pinnable(bench.editor.graph, bench.services.registry, node, step.outputs)
        except UndecodableValue as error:
            bench.canvas.refuse(f"The last output does not fit any more: {error.message}")
            return
        bench.apply(SetPolicy(node=node, pinned=outputs))

    async def pin_run(self, run: ExecutionView) -> None:
        """Pin on every node what it put out in a past run, as one step of undo."""
        bench = self._bench
        pins, left_out = pins_of(run, bench.editor.graph, bench.services.registry)
        if not pins:
            parts.toast("Nothing of that run fits the nodes there are now.", tone="danger")
            return
        bench.apply(*(SetPolicy(node=node, pinned=data) for node, data in pins.items()))
        words = f"The data of that run is pinned on {text.count(len(pins), 'node')}."
        if left_out:
            words += f" {text.count(left_out, 'step')} of it did not fit."

        async def back() -> None:
            bench.canvas.undo()

        parts.toast(words + " Unpin what should run again.", undo=back)

    def unpin_all(self) -> None:
        """Let every node run again."""
        pinned = [n.id for n in self._bench.editor.graph.nodes.values() if n.pinned is not None]
        if pinned:
            self._bench.apply(*(SetPolicy(node=node, pinned=None) for node in pinned))
            parts.toast(f"{text.count(len(pinned), 'node')} will run again.")

    async def edit_outputs(self, node: str) -> None:
        """Ask for the outputs a node is to have from now on, instead of running."""
        bench = self._bench
        spec = bench.editor.graph.nodes.get(node)
        slots = output_slots(bench.editor.graph, bench.services.registry, node) if spec else []
        if spec is None or not slots:
            bench.canvas.refuse("This node puts nothing out.")
            return
        step = bench.step(node)
        known = spec.pinned or (step.outputs if step and not step.truncated else {})
        with bench.root, parts.dialog(f"Output of {bench.title(node)}", wide=True) as box:
            parts.label(
                "What stands here is used instead of running the node, until it is unpinned.",
                "rl-muted rl-small",
            )
            editor = PortEditor(slots, known, bench.services.registry.value_types())
            with parts.div("rl-dialog-actions"):
                parts.bare(
                    "Download", partial(_download, bench.title(node), known), icon="file_download"
                ).set_enabled(bool(known))
                parts.div("rl-grow")
                if spec.pinned is not None:
                    parts.quiet("Unpin", lambda: box.submit(_UNPIN)).mark("unpin")
                parts.bare("Cancel", lambda: box.submit(None))
                parts.primary("Pin", lambda: editor.submit(box), icon="push_pin").mark(
                    "pin-outputs"
                )
        answer = await parts.ask(box)
        if answer is _UNPIN:
            bench.apply(SetPolicy(node=node, pinned=None))
        elif isinstance(answer, dict):
            bench.apply(SetPolicy(node=node, pinned=answer))

    async def ask_inputs(self, node: str) -> dict[str, Any] | None:
        """Ask for the inputs to run a node alone with; {} where it needs none, None to leave it."""
        bench = self._bench
        slots = input_slots(bench.editor.graph, bench.services.registry, node)
        if not slots:
            return {}
        step = bench.step(node)
        known = step.inputs if step and not step.truncated else {}
        with bench.root, parts.dialog(f"Run {bench.title(node)} alone", wide=True) as box:
            hint = "Its inputs of the last run; change them as you like." if known else ""
            parts.label(
                hint or "It has not run yet: write down what it is to get.", "rl-muted rl-small"
            )
            editor = PortEditor(slots, known, bench.services.registry.value_types())
            with parts.div("rl-dialog-actions"):
                parts.bare("Cancel", lambda: box.submit(None))
                parts.primary("Run this node", lambda: editor.submit(box), icon="play_arrow").mark(
                    "run-alone"
                )
        answer = await parts.ask(box)
        return answer if isinstance(answer, dict) else None

    # ---- looking and taking along ----
    def show_inner(self, step_id: str) -> None:
        """Show what a step inside another node took and gave."""
        bench = self._bench
        step = bench.run.steps.get(step_id)
        if step is None:
            return
        with bench.root, parts.dialog(step.name, wide=True) as box:
            parts.label(step_id, "rl-mono rl-small rl-muted")
            if step.error:
                parts.error_notice(step.error)
            for heading, ports in (("Output", step.outputs), ("Input", step.inputs)):
                for port, value in ports.items():
                    with parts.div("rl-port"):
                        parts.label(f"{heading}: {port}", "rl-muted rl-small")
                        viewers.show(value, bench.run.found_by())
            if not step.outputs and not step.inputs and not step.error:
                parts.label("Nothing was kept of this step.", "rl-muted")
            with parts.div("rl-dialog-actions"):
                parts.quiet("Close", box.close)
        box.on_value_change(lambda e: None if e.value else box.delete())
        box.open()

    def download(self, node: str) -> None:
        """Download what a node put out last: JSON, and its first table as CSV beside it."""
        bench = self._bench
        step = bench.step(node)
        spec = bench.editor.graph.nodes.get(node)
        outputs = (spec.pinned if spec else None) or (step.outputs if step else {})
        if not outputs:
            bench.canvas.refuse("Run this node once; its output can be downloaded then.")
            return
        _download(bench.title(node), outputs)

    def download_csv(self, node: str) -> None:
        """Download the rows a node put out last."""
        bench = self._bench
        step = bench.step(node)
        for port, value in (step.outputs if step else {}).items():
            table = downloads.as_csv(value)
            if table is not None:
                name = downloads.file_name(bench.title(node), port, ending="csv")
                ui.download.content(table, name, "text/csv")
                return
        bench.canvas.refuse("This node put out nothing with rows.")


_UNPIN = object()


def _download(title: str, outputs: dict[str, Any]) -> None:
    name = downloads.file_name(title, ending="json")
    ui.download.content(downloads.as_json(outputs), name, "application/json")


class PortEditor:
    """A field for each port; `submit` closes the dialog with the values once all of them fit."""

    def __init__(self, slots: list[Slot], known: dict[str, Any], types: dict[str, Any]) -> None:
        self._slots, self._known, self._types = slots, known, types
        self._fields: dict[str, ui.textarea] = {}
        for slot in slots:
            with parts.div("rl-field"):
                with parts.div("rl-row"):
                    parts.label(slot.name, "rl-field-title rl-mono")
                    parts.label(slot.value_type.type_name, "rl-muted rl-small")
                    if slot.required:
                        parts.label("required", "rl-muted rl-small")
                field = ui.textarea(value=slot.write(known.get(slot.name)), placeholder=slot.hint())
                field.props('input-style="max-height: 40vh; overflow: auto" spellcheck=false')
                field.props["aria-label"] = slot.name
                field.mark(f"port-{slot.name}")
                if not slot.plain:
                    field.classes("rl-mono-field")
                self._fields[slot.name] = field

    def submit(self, box: ui.dialog) -> None:
        """Hand the values over, or say beside the field what is wrong."""
        texts = {name: field.value or "" for name, field in self._fields.items()}
        data, wrong = read_all(self._slots, texts, self._types, self._known)
        for name, field in self._fields.items():
            field.error = wrong.get(name)
        if not wrong:
            box.submit(data)
