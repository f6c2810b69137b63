"""One graph from what a file of another system holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, Field

from app.engine.graph import Graph
from app.engine.registry import Registry
from app.engine.values import Answer, Chunks, PortValue, Query
from app.services.importers import roles
from app.services.importers.draft import Draft, Out
from app.services.importers.order import ordered
from app.services.importers.placing import arrange
from app.services.importers.prompting import refs_in
from app.services.importers.redact import Redactor
from app.services.importers.source import (
    FILES,
    HISTORY,
    QUESTION,
    VARIABLE,
    Link,
    Ref,
    Source,
    Step,
)

MAX_REMARKS = 40


class ImportReport(BaseModel):
    """What became of a workflow of another system."""

    format: str = Field(description="ragloom, seed, ragflow, dify, langflow or flowise.")
    mapped: int = Field(description="Nodes that became nodes, or settings of nodes, of this kind.")
    placeholders: int = Field(description="Nodes that have no equal here and keep their data.")
    edges_in: int = Field(description="Wires in the file.")
    edges_out: int = Field(description="Wires in the workflow.")
    notes: list[str] = Field(description="What changed and what is left to do, in sentences.")


@dataclass
class Part:
    """What a step became."""

    main: Out | None = None
    #: Outputs by the name that the other system gives them.
    fields: dict[str, Out] = field(default_factory=dict)
    #: Ways out of a branch, by handle.
    ways: dict[str, Out] = field(default_factory=dict)
    placeholder: str = ""


class Builder:
    """Builds the steps of one level; iterations and loops have a builder of their own."""

    def __init__(
        self, source: Source, registry: Registry, *, inside: str = "", outer: Builder | None = None
    ) -> None:
        self.source = source
        self.registry = registry
        self.inside = inside
        self.outer = outer
        self.graph = Graph(name=source.name, description=source.description)
        self.draft = Draft(registry, self.graph)
        self.redactor: Redactor = outer.redactor if outer else Redactor()
        self.parts: dict[str, Part] = {}
        self.remarks: list[str] = []
        self.mapped = 0
        self.placeholders = 0
        self.inner_edges = 0
        #: Wires that only say what runs first.
        self.unspoken = 0
        #: Values of outer steps that come in: name of the inlet -> what is meant.
        self.inlets: dict[str, Ref] = {}
        self._question: Out | None = None
        self._extras: dict[str, Out | None] = {}
        self._gates: dict[str, Out | None] = {}
        self._cut: set[tuple[str, str]] = set()
        self.steps = {s.id: s for s in source.steps.values() if self._level(s) == inside}
        self.links = self._links()

    # -- the whole ------------------------------------------------------------------------

    def build(self) -> None:
        """Build every step, in an order in which what a step needs is there already."""
        order, self._cut = ordered(self.steps, self._needs())
        for source, target in sorted(self._cut):
            self.remark(
                f"“{self.title(source)}” led back to “{self.title(target)}”. A workflow has no "
                "circles here, so that wire was left out; use a loop node to repeat steps."
            )
        for step_id in order:
            step = self.steps[step_id]
            part = roles.build(self, step)
            self.parts[step_id] = part
            # What follows a branch that leads nowhere else stays on that branch.
            self._gates[step_id] = self._gates.get(step_id) or None
        for link in self.links:
            self._express(link)
        arrange(self)

    def edges_out(self) -> int:
        """Wires of the graph and of the graphs inside it."""
        return len(self.graph.edges) + self.inner_edges

    def remark(self, sentence: str) -> None:
        """Say something in the report, once."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    # -- what steps ask for -----------------------------------------------------------------

    def resolve(self, ref: Ref) -> Out | None:
        """The output that a reference means, or None where there is none here."""
        if ref.step == QUESTION:
            return self.question()
        if ref.step in (FILES, HISTORY):
            return self._extra(ref.step)
        part = self.parts.get(ref.step)
        if part is not None:
            return self.out(part, ref.field)
        if ref.step in self.source.steps and self.inside and not self._is_below(ref.step):
            return self._inlet(ref)
        return None

    def out(self, part: Part, name: str) -> Out | None:
        """An output of a part by the name the other system gives it."""
        if part.placeholder:
            return roles.placeholder_output(self, part.placeholder, name or "output")
        return part.fields.get(name, part.main)

    def question(self) -> Out:
        """The question of the run; a node for it is made when first asked for."""
        if self._question is None:
            if self.inside:
                found = self._inlet(Ref(QUESTION), value_type=Query)
                assert found is not None
                self._question = found
            else:
                node = self.draft.add("question", "Question", {}, "")
                assert node is not None
                self._question = self.draft.out(node, "query")
        return self._question

    def set_question(self, out: Out) -> None:
        """Take this one for the question of the run."""
        if self._question is None:
            self._question = out

    def has_question(self) -> bool:
        """Whether there is a question already."""
        return self._question is not None

    def query(self, step: Step) -> Out:
        """The question as it reaches a step: on a branch, only when that branch is taken."""
        gate = self.gate(step)
        return gate if gate is not None and gate.value_type is Query else self.question()

    def gate(self, step: Step) -> Out | None:
        """What arrives only when the branch that leads to this step is taken; None off branches."""
        if step.id in self._gates:
            return self._gates[step.id]
        found: list[Out] = []
        self._gates[step.id] = None
        for link in self.incoming(step.id):
            part = self.parts.get(link.source)
            if part is None:
                continue
            gate = part.ways.get(link.out) if part.ways else self._gates.get(link.source)
            if gate is None:
                return None
            if gate not in found:
                found.append(gate)
        if len(found) > 1:
            merge = self.draft.add("merge", "Either branch", {}, step.id)
            if merge is None:
                return None
            for out in found:
                self.draft.wire(out, merge, "values")
            found = [Out(merge, "value", found[0].value_type)]
        self._gates[step.id] = found[0] if found else None
        return self._gates[step.id]

    def incoming(self, step_id: str) -> list[Link]:
        """Wires that carry something to a step."""
        return [
            link
            for link in self.links
            if link.target == step_id and not link.part and (link.source, step_id) not in self._cut
        ]

    def before(self, step: Step) -> list[Part]:
        """Parts that are wired to a step."""
        return [self.parts[k.source] for k in self.incoming(step.id) if k.source in self.parts]

    def passages(self, step: Step, refs: Iterable[Ref]) -> Out | None:
        """Passages among the values a step names, or wired to it."""
        outs = [self.resolve(ref) for ref in refs]
        outs += [part.main for part in self.before(step)]
        return next((o for o in outs if o is not None and o.value_type is Chunks), None)

    def title(self, step_id: str) -> str:
        """Name of a step for people."""
        step = self.source.steps.get(step_id)
        return (step.title or step.kind or step.id)[:60] if step else step_id[:60]

    # -- how steps hang together ------------------------------------------------------------

    def _level(self, step: Step) -> str:
        """The iteration a step is directly inside of, where that is one that holds steps."""
        parent = self.source.steps.get(step.parent)
        return step.parent if parent is not None and roles.holds_steps(self, parent) else ""

    def _is_below(self, step_id: str) -> bool:
        return step_id in self.steps

    def _lift(self, step_id: str) -> str | None:
        """The step of this level that a step is, or is inside of."""
        for _ in range(20):
            if step_id in self.steps:
                return step_id
            step = self.source.steps.get(step_id)
            if step is None or not step.parent:
                return None
            step_id = step.parent
        return None

    def _links(self) -> list[Link]:
        found = []
        for link in self.source.links:
            if self.inside and not (link.source in self.steps and link.target in self.steps):
                continue
            source, target = self._lift(link.source), self._lift(link.target)
            if source and target and source != target:
                found.append(replace(link, source=source, target=target))
        return found

    def _needs(self) -> dict[str, list[str]]:
        needs: dict[str, list[str]] = {step_id: [] for step_id in self.steps}
        for link in self.links:
            needs[link.target].append(link.source)
        for step in self.source.steps.values():
            own = self._lift(step.id)
            if own is None:
                continue
            for ref in roles.refs_of(step):
                source = self._lift(ref.step)
                if source and source != own:
                    needs[own].append(source)
        return needs

    def _express(self, link: Link) -> None:
        """See to it that a wire of the file shows in the graph."""
        if link.part or (link.source, link.target) in self._cut:
            return
        owner = self.draft.owner
        if any(
            owner.get(e.source) == link.source and owner.get(e.target) == link.target
            for e in self.graph.edges
        ):
            return
        part = self.parts.get(link.source)
        out = None
        if part is not None:
            out = part.ways.get(link.out) if part.ways else self.out(part, "")
        nodes = [n for n, step in owner.items() if step == link.target and n in self.graph.nodes]
        if out is None or not any(self._lend(out, node) for node in nodes):
            self.unspoken += 1

    def _lend(self, out: Out, node_id: str) -> bool:
        """Wire an output to a spare input that takes it and changes nothing by itself."""
        spec = self.graph.nodes[node_id]
        if spec.type == "placeholder":
            return roles.placeholder_input(self, node_id, out, "input")
        spare = {
            "prompt": ("texts", "answer", "data", "chunks"),
            "generate": ("chunks",) if out.value_type is Chunks else (),
            "answer_output": ("chunks", "verdict") if out.value_type is not PortValue else (),
        }.get(spec.type, ())
        whole = replace(out, path="")
        for port in spare:
            if self.draft.fits(whole, node_id, port) and (
                port != "answer" or whole.value_type is Answer
            ):
                return self.draft.wire(whole, node_id, port)
        return False

    def _extra(self, kind: str) -> Out | None:
        if kind not in self._extras:
            self._extras[kind] = self._make_extra(kind)
        return self._extras[kind]

    def _make_extra(self, kind: str) -> Out | None:
        if self.inside:
            return self._inlet(Ref(kind))
        if kind == FILES:
            node = self.draft.add("file_input", "File", {}, "")
            return self.draft.out(node, "text") if node else None
        return roles.history(self)

    def _inlet(self, ref: Ref, value_type: type[PortValue] = PortValue) -> Out | None:
        """A value of the level above, let in under a name."""
        if ref.step == VARIABLE or not self.draft.has("inlet"):
            return None
        name = next((n for n, r in self.inlets.items() if r == ref), None)
        if name is None:
            known = self.outer.resolve(ref) if self.outer else None
            if known is None:
                return None
            value_type = known.value_type if value_type is PortValue else value_type
            name = f"in_{len(self.inlets) + 1}"
            self.inlets[name] = ref
            config = {"name": name, "value_type": value_type.type_name}
            node = self.draft.add("inlet", self.title(ref.step).lstrip("@"), config, "", name)
            if node is None:
                del self.inlets[name]
                return None
            self._extras[name] = self.draft.out(node, "value", value_type)
        return self._extras.get(name)


def build(source: Source, registry: Registry) -> tuple[Graph, ImportReport]:
    """The graph of a workflow, and the report on what became of it."""
    builder = Builder(source, registry)
    for remark in source.remarks:
        builder.remark(remark)
    builder.build()
    graph = builder.graph
    if source.variables:
        graph.extra["variables"] = {
            name: builder.redactor.data(value) for name, value in source.variables.items()
        }
    notes = list(builder.remarks)
    for remark in builder.draft.remarks:
        if remark not in notes:
            notes.append(remark)
    notes += _sums(builder)
    if len(notes) > MAX_REMARKS:
        notes = [*notes[:MAX_REMARKS], f"… and {len(notes) - MAX_REMARKS} more remarks."]
    report = ImportReport(
        format=source.format,
        mapped=builder.mapped,
        placeholders=builder.placeholders,
        edges_in=source.wires,
        edges_out=builder.edges_out(),
        notes=notes,
    )
    graph.extra["imported_from"] = {"format": source.format, "notes": notes}
    return graph, report


def _sums(builder: Builder) -> list[str]:
    notes = []
    if builder.placeholders:
        one = builder.placeholders == 1
        notes.append(
            f"{builder.placeholders} {'node has' if one else 'nodes have'} no equal here and "
            f"became {'a placeholder that keeps its' if one else 'placeholders that keep their'} "
            "data. The workflow runs when each is replaced."
        )
    if builder.unspoken:
        one = builder.unspoken == 1
        notes.append(
            f"{builder.unspoken} {'wire' if one else 'wires'} only said what runs first. A node "
            f"runs here as soon as its inputs are there, so {'it was' if one else 'they were'} "
            "left out."
        )
    if builder.redactor.removed:
        one = builder.redactor.removed == 1
        notes.append(
            f"{builder.redactor.removed} {'key or password was' if one else 'keys or passwords were'}"
            " not imported. Secrets are kept outside workflows."
        )
    return notes


def parts_of(value: Any) -> list[Ref]:
    """Refs of a template, for those who only have the module."""
    return refs_in(tuple(value))
