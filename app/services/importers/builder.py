"""Builds the nodes of a workflow of another system, one level at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.engine.graph import Graph
from app.engine.registry import Registry
from app.engine.values import Answer, Chunks, PortValue, Query, Text
from app.services.importers import roles
from app.services.importers.draft import Draft, Out, Part
from app.services.importers.order import ordered
from app.services.importers.placeholders import prune
from app.services.importers.placing import arrange
from app.services.importers.redact import Redactor
from app.services.importers.source import (
    FILES,
    HISTORY,
    MAX_LINKS,
    QUESTION,
    VARIABLE,
    Link,
    Ref,
    Source,
    Step,
)

#: Steps that became settings of others, or nothing at all.
_SILENT = ("part", "nothing")


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
        #: Titles of the steps that have no equal here.
        self.placeholders: list[str] = []
        self.inner_edges = 0
        #: Wires that only say what runs first.
        self.unspoken = 0
        #: Values of outer steps that come in: name of the inlet -> what is meant.
        self.inlets: dict[str, Ref] = {}
        self.inlet_types: dict[str, str] = {}
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
        for source, target in sorted(self._cut & self._said()):
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
        prune(self)
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
        if self.inside and ref.step in self.source.steps and ref.step not in self.steps:
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
                found = self._inlet(Ref(QUESTION))
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
        links = [link for link in self.incoming(step.id) if link.into != "tools"]
        if not links:
            # A tool is used where its agent is.
            links = [
                link
                for tool in self.links
                if tool.source == step.id and tool.into == "tools"
                for link in self.incoming(tool.target)
                if link.into != "tools"
            ]
        for link in links:
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

    def gate_of(self, step_id: str) -> Out | None:
        """`gate` by id."""
        return self.gate(self.steps[step_id]) if step_id in self.steps else None

    def comes_with(self, out: Out, step_id: str) -> bool:
        """Whether a value is there whenever a step is reached: no branch lies between."""
        owner = self.draft.owner.get(out.node, "")
        gate = self._gates.get(owner)
        part = self.parts.get(owner)
        if part is not None and part.ways:
            gate = out if out in part.ways.values() else gate
        return gate is None or gate == self.gate_of(step_id) or out == self.gate_of(step_id)

    def waits(self, outs: Iterable[Out], gate: Out) -> bool:
        """Whether any of these values comes only when the branch is taken."""
        return any(
            replace(out, path="") == gate
            or self._gates.get(self.draft.owner.get(out.node, "")) == gate
            for out in outs
        )

    def resolve_for(self, ref: Ref, step_id: str) -> Out | None:
        """`resolve`, with the question as it reaches the step."""
        if ref.step == QUESTION and step_id in self.steps:
            return self.query(self.steps[step_id])
        return self.resolve(ref)

    def before(self, step: Step) -> list[Part]:
        """Parts that are wired to a step."""
        return [self.parts[k.source] for k in self.incoming(step.id) if k.source in self.parts]

    def passages(self, step: Step, refs: Iterable[Ref]) -> Out | None:
        """Passages among the values a step names, or wired to it; joined where there are more."""
        outs = [self.resolve(ref) for ref in refs]
        outs += [part.main for part in self.before(step)]
        found = {(o.node, o.port): o for o in outs if o is not None and o.value_type is Chunks}
        if len(found) < 2:
            return next(iter(found.values()), None)
        title = f"Passages for {step.title or 'the model'}"
        node = self.draft.add("merge", title, {"mode": "concatenate"}, step.id)
        if node is None:
            return None
        for out in found.values():
            self.draft.wire(out, node, "values")
        return Out(node, "value", Chunks)

    def title(self, step_id: str) -> str:
        """Name of a step for people."""
        step = self.source.steps.get(step_id)
        return (step.title or step.kind or step.id)[:60] if step else step_id[:60]

    # -- how steps hang together ------------------------------------------------------------

    def _level(self, step: Step) -> str:
        """The iteration a step is directly inside of, where that is one that holds steps."""
        parent = self.source.steps.get(step.parent)
        return step.parent if parent is not None and roles.holds_steps(self, parent) else ""

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
        if len(self.source.links) > MAX_LINKS:
            self.remark(
                f"The file has {len(self.source.links):,} wires; the first {MAX_LINKS:,} were read."
            )
        for link in self.source.links[:MAX_LINKS]:
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
        for tool in self.links:
            if tool.into == "tools" and not needs[tool.source]:
                # What decides whether its agent runs comes before the tool as well.
                before = [k for k in self.links if k.target == tool.target and k.into != "tools"]
                needs[tool.source].extend(k.source for k in before if k.source != tool.source)
        for step in self.source.steps.values():
            own = self._lift(step.id)
            if own is None:
                continue
            for ref in roles.refs_of(step):
                source = self._lift(ref.step)
                if source and source != own:
                    needs[own].append(source)
        return needs

    def _said(self) -> set[tuple[str, str]]:
        """Pairs of steps that the file itself connects."""
        found = {(link.source, link.target) for link in self.links}
        for step in self.steps.values():
            found |= {(ref.step, step.id) for ref in roles.refs_of(step)}
        return found

    def _express(self, link: Link) -> None:
        """See to it that a wire of the file shows in the graph."""
        if link.part or (link.source, link.target) in self._cut:
            return
        nodes = self.draft.nodes_of(link.target)
        if any(
            self.draft.owner.get(edge.source) == link.source
            for node in nodes
            for edge in self.draft.into(node)
        ):
            return
        part = self.parts.get(link.source)
        out = None
        if part is not None:
            out = part.ways.get(link.out) if part.ways else self.out(part, "")
        if self.steps[link.source].role in _SILENT or self.steps[link.target].role in _SILENT:
            return
        if out is None or not any(self._lend(out, node) for node in nodes):
            self.unspoken += 1

    def _lend(self, out: Out, node_id: str) -> bool:
        """Wire an output to a spare input that takes it and changes nothing by itself."""
        spec = self.graph.nodes[node_id]
        if isinstance(spec.config.get("inputs"), list) and spec.type in ("ask_model", "prompt"):
            return self._lend_by_name(out, node_id)
        if spec.type == "placeholder":
            return roles.placeholder_input(self, node_id, out, "input")
        spare = {
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

    def _lend_by_name(self, out: Out, node_id: str) -> bool:
        """Give a node whose inputs have names one more, which its template may use or not."""
        inputs = self.graph.nodes[node_id].config["inputs"]
        taken = {entry["name"] for entry in inputs}
        number = 1
        while (name := f"before_{number}") in taken:
            number += 1
        if len(inputs) >= 40:
            return False
        inputs.append({"name": name, "required": False})
        return self.draft.wire(replace(out, path=""), node_id, name)

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
        """A value of the level above, let in under a name; the item is one of them."""
        if ref.step == VARIABLE or self.outer is None or not self.draft.has("inlet"):
            return None
        item = ref.step == self.inside
        known = next((n for n, r in self.inlets.items() if r == ref), None)
        name = known or ("item" if item else f"in_{len(self.inlets) + 1}")
        if name not in self._extras:
            meant = None if item else self.outer.resolve_for(ref, self.inside)
            if meant is None and not item:
                return None
            if meant is not None and not meant.path:
                value_type = meant.value_type
            title = "Item" if item else self.title(ref.step).lstrip("@").capitalize()
            config = {"name": name, "value_type": value_type.type_name}
            node = self.draft.add("inlet", title, config, "", name)
            if node is None:
                return None
            self.inlets[name] = Ref(self.inside) if item else ref
            self.inlet_types[name] = value_type.type_name
            self._extras[name] = Out(node, "value", value_type)
        return self._extras[name]

    def result(self, ref: Ref | None) -> Out | None:
        """What a round of an iteration gives: the output it names, else that of its last step."""
        if ref is not None and ref.step in self.parts:
            found = self.out(self.parts[ref.step], ref.field)
            if found is not None:
                return self.draft.convert(found, Text) if found.path else found
        ends = [p.main for p in self.parts.values() if p.main is not None]
        return ends[-1] if ends else None

    def inner(self, step_id: str) -> Builder:
        """A builder for the steps inside of a step."""
        return Builder(self.source, self.registry, inside=step_id, outer=self)

    def absorb(self, inner: Builder) -> None:
        """Count what was built inside as part of the whole."""
        self.mapped += inner.mapped
        self.placeholders += inner.placeholders
        self.unspoken += inner.unspoken
        self.inner_edges += inner.edges_out()
        for remark in (*inner.remarks, *inner.draft.remarks):
            self.remark(remark)
