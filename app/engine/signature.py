"""What a node's result depends on, the key it is kept under, and why it ran again."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

#: Keys of `config` and `data` that hold expressions and variables rather than settings and input.
EXPRESSIONS = "$expr"
VARIABLES = "$variables"
#: Changes named in a reason; the rest is counted.
_MOST = 3


#: How the source of a value is called that was typed in for one run.
GIVEN = "a given value"


class Wire(NamedTuple):
    """A value that arrived: where, from where, and under which key its node's result is.

    `source` is empty for a value that a run was given in place of a wire.
    """

    port: str
    source: str
    source_port: str
    #: Empty where no value came.
    key: str


class Signature(NamedTuple):
    """Everything a result depends on. Texts only, so that it can be stored as JSON."""

    type: str
    version: int
    #: Settings with defaults filled in, as JSON text.
    config: str
    wires: tuple[Wire, ...]
    #: State outside the graph: commit ids, model ids.
    fingerprint: str
    #: What the node reads of the run's input data, as JSON text.
    data: str

    def key(self) -> str:
        """SHA-256 in hex. Ids of nodes do not count: renaming one changes no result."""
        wires = [(w.port, w.source_port if w.key else "", w.key) for w in self.wires]
        return digest(
            self.type,
            str(self.version),
            self.config,
            json.dumps(wires),
            self.fingerprint,
            self.data,
        )

    def dump(self) -> dict[str, Any]:
        """JSON data of it: `Signature.load(signature.dump()) == signature`."""
        return {
            "type": self.type,
            "version": self.version,
            "config": self.config,
            "wires": [list(wire) for wire in self.wires],
            "fingerprint": self.fingerprint,
            "data": self.data,
        }

    @classmethod
    def load(cls, data: Any) -> Signature | None:
        """From `dump`'s data; None where it is not of that shape."""
        try:
            parts = dict(data)
            wires = tuple(Wire(*map(str, wire)) for wire in parts.pop("wires"))
            version = int(parts.pop("version"))
            texts = {name: str(text) for name, text in parts.items()}
            return cls(version=version, wires=wires, **texts)
        except (TypeError, ValueError, KeyError):
            return None


def digest(*parts: str) -> str:
    """SHA-256 of several texts, in hex; where one ends and the next begins counts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def why(previous: Signature | None, now: Signature) -> str:
    """Why a node runs, in words: “config.top_k 5 → 8”."""
    if previous is None:
        return "first run"
    if previous.type != now.type:
        return f"type {previous.type} → {now.type}"
    changes = []
    if previous.version != now.version:
        changes.append(f"version {previous.version} → {now.version}")
    if previous.config != now.config:
        changes += _labelled(previous.config, now.config, "config", EXPRESSIONS, "expression of ")
    changes += _wire_changes(previous.wires, now.wires)
    if previous.data != now.data:
        changes += _labelled(previous.data, now.data, "input", VARIABLES, "variable ")
    if previous.fingerprint != now.fingerprint:
        changes.append(f"outside state {_short(previous.fingerprint)} → {_short(now.fingerprint)}")
    if not changes:
        return "its result was no longer kept"
    more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
    return ", ".join(changes[:_MOST]) + more


def _labelled(before: str, after: str, label: str, special: str, special_label: str) -> list[str]:
    """Differences of two JSON texts; those under one key are called otherwise."""
    old, new = json.loads(before), json.loads(after)
    old_special, new_special = old.pop(special, {}), new.pop(special, {})
    return _differences(f"{label}.", old, new) + _differences(
        special_label, old_special, new_special
    )


def _differences(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                dot = "" if path.endswith((".", " ")) else "."
                found += _differences(f"{path}{dot}{key}", before.get(key), after.get(key))
        return found
    return [f"{path} {_short(before)} → {_short(after)}"] if before != after else []


def _wire_changes(before: tuple[Wire, ...], after: tuple[Wire, ...]) -> list[str]:
    found = []
    for port in dict.fromkeys(w.port for w in (*before, *after)):
        old = [w for w in before if w.port == port]
        new = [w for w in after if w.port == port]
        if [w[1:3] for w in old] != [w[1:3] for w in new]:
            sources = ", ".join(map(_end, new)) or "nothing"
            found.append(f"input rewired: {port} from {sources}")
        else:
            changed = (b for a, b in zip(old, new, strict=True) if a.key != b.key)
            found += [f"input changed: {port} from {wire.source or GIVEN}" for wire in changed]
    return found


def _end(wire: Wire) -> str:
    return f"{wire.source}.{wire.source_port}" if wire.source else GIVEN


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split()) or "“”"
    return text if len(text) <= 40 else f"{text[:39]}…"
