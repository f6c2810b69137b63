"""What runs begin with: results of earlier ones, options as they are kept, inputs nobody reads."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.engine.body import has_value
from app.engine.codec import tagged
from app.engine.context import CanTry, World
from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.engine.plan import Plan
from app.engine.problems import InvalidWorkflow, RagloomError
from app.engine.registry import Registry
from storage.errors import NotFound

if TYPE_CHECKING:
    from storage.tables import RunStep

#: Statuses of steps that have a result, if only that there is none.
_SETTLED = ("completed", "skipped")


def kept_results(
    steps: Sequence[RunStep],
    load: Callable[[Mapping[str, Any]], Any],
    registry: Registry,
    may_have_failed: Collection[str] = (),
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Outputs of steps as `RunOptions.given`, and the signatures they count under.

    Steps whose outputs expired are left out. Failures of nodes in `may_have_failed` stay as they
    are: the run goes on without them.
    """
    given: dict[str, dict[str, Any]] = {}
    keys: dict[str, str] = {}
    for step in steps:
        if step.status == "skipped" and step.reason.startswith("the run "):
            continue  # it was not its turn yet when the run ended
        if step.status == "failed" and step.node_id in may_have_failed:
            given[step.node_id] = {}
            continue
        if step.status not in _SETTLED:
            continue
        try:
            outputs = load(step.outputs) if step.outputs else {}
        except NotFound:
            continue
        given[step.node_id] = tagged(outputs, step.types)
        cls = registry.get(step.type)
        # What acts outside, or holds a workflow that may, counts by what it gave, not by what it
        # was asked.
        if step.signature and cls is not None and cls.cacheable and not cls.has_body:
            keys[step.node_id] = step.signature
    return given, keys


def may_fail(graph: Graph) -> list[str]:
    """Nodes whose failure lets the run go on without them."""
    return [n.id for n in graph.nodes.values() if n.on_error in ("skip", "continue")]


def outside(graph: Graph, options: RunOptions) -> set[str]:
    """Nodes that these options leave out, so that their results have to be given."""
    if options.start_from is None and options.only is None:
        return set()
    return set(graph.nodes) - _part(graph, options)


def remaining(graph: Graph, options: RunOptions, done: Collection[str]) -> RunOptions:
    """The options of what is left of a run, when these nodes are done."""
    if options.start_from is None and options.only is None:
        return options
    left = _part(graph, options) - set(done)
    if options.targets is not None:
        left &= graph.needed_for(options.targets, stop_at=())
    fresh = options.fresh
    if options.start_from in left:
        fresh = (*fresh, options.start_from)
    update = {"only": tuple(sorted(left)), "start_from": None, "targets": None, "fresh": fresh}
    return options.model_copy(update=update)


def _part(graph: Graph, options: RunOptions) -> set[str]:
    part = set(graph.nodes) if options.only is None else set(options.only)
    if options.start_from is None:
        return part
    followers: dict[str, list[str]] = {}
    for edge in graph.edges:
        followers.setdefault(edge.source, []).append(edge.target)
    after = {options.start_from}
    todo = [options.start_from]
    while todo:
        for node in followers.get(todo.pop(), ()):
            if node not in after:
                after.add(node)
                todo.append(node)
    return part & after


def with_given(
    options: RunOptions,
    given: Mapping[str, dict[str, Any]],
    keys: Mapping[str, str],
    nodes: Collection[str],
) -> RunOptions:
    """The options with results for these nodes, where they do not give any themselves."""
    chosen = {node: given[node] for node in nodes if node in given and node not in options.given}
    if not chosen:
        return options
    return options.model_copy(
        update={
            "given": {**chosen, **options.given},
            "given_keys": {**{n: keys[n] for n in chosen if n in keys}, **options.given_keys},
        }
    )


def repeated(
    graph: Graph,
    past: RunOptions,
    start: str | None,
    config: Mapping[str, Mapping[str, Any]],
    pin: Mapping[str, Mapping[str, Any]],
) -> RunOptions:
    """Options that repeat a run with the settings and pins it had, and with these.

    Raises InvalidWorkflow for settings of a node before `start`: they would change nothing.
    """
    if start is not None and start in graph.nodes:
        after = _part(graph, RunOptions(start_from=start))
        for node in config:
            if node in graph.nodes and node not in after:
                name = graph.nodes[node].title or node
                raise InvalidWorkflow(
                    f"Settings were given for “{name}”, which does not run again: this run begins "
                    f"at “{graph.nodes[start].title or start}”.",
                    fix=f"Begin at “{name}”, or leave its settings out.",
                )
    known = {node: values for node, values in past.config.items() if node in graph.nodes}
    settings = {
        node: {**known.get(node, {}), **config.get(node, {})} for node in {**known, **config}
    }
    # What is asked to run, or to run otherwise, is not to stay as it was pinned.
    held = {node: outputs for node, outputs in past.pin.items() if node not in {start, *config}}
    pins = {node: dict(outputs) for node, outputs in {**held, **pin}.items()}
    return RunOptions(start_from=start, config=settings, pin=pins, dry=past.dry)


def world_for(options: RunOptions, world: World) -> World:
    """The world of a run; for one that only tries, where nothing is written."""
    if not options.dry:
        return world
    if not isinstance(world, CanTry):
        raise RagloomError("Nothing can be tried here without writing.", code="not_supported")
    return world.trying()


def dump_options(options: RunOptions, *, use_cache: bool) -> dict[str, Any]:
    """As they are kept with the run."""
    data = options.model_dump(mode="json", exclude_defaults=True)
    return data if use_cache else {**data, "use_cache": False}


def load_options(data: Mapping[str, Any]) -> tuple[RunOptions, bool]:
    """What `dump_options` gave, and whether results are reused."""
    fields = dict(data)
    use_cache = bool(fields.pop("use_cache", True))
    return RunOptions.model_validate(fields), use_cache


def inputs_read(plan: Plan) -> set[str] | None:
    """Names of the inputs that nodes of the workflow read; None where one may read any."""
    read: set[str] = set()
    for node in plan.nodes.values():
        if node.reads is None:
            return None
        read.update(node.reads)
    return read


def asks(plan: Plan) -> bool:
    """Whether a node reads an input that it has no value of its own for."""
    return any(node.reads and not has_value(node.spec) for node in plan.nodes.values())


def unread_inputs(plan: Plan, input_data: Mapping[str, Any]) -> list[str]:
    """A sentence for each input that no node of the workflow reads."""
    read = inputs_read(plan)
    if read is None:
        return []
    sentences = []
    for name in input_data:
        if name in read:
            continue
        near = difflib.get_close_matches(name, read, n=1, cutoff=0.6)
        if near:
            hint = f"Did you mean “{near[0]}”?"
        elif read:
            hint = f"It reads: {', '.join(sorted(read)[:10])}."
        else:
            hint = "It reads no inputs."
        sentences.append(f"No node of the workflow reads the input “{name[:100]}”. {hint}")
        if len(sentences) == 20:
            break
    return sentences
