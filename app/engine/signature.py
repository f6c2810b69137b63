"""What a node's result depends on, the key it is kept under, and why it ran again."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

#: Changes named in a reason; the rest is counted.
_MOST = 3


class Wire(NamedTuple):
    """A value that arrived: where, from where, and under which key its node's result is."""

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
        return {**self._asdict(), "wires": [list(wire) for wire in self.wires]}

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
        changes += _differences("config", json.loads(previous.config), json.loads(now.config))
    changes += _wire_changes(previous.wires, now.wires)
    if previous.data != now.data:
        changes += _differences("input", json.loads(previous.data), json.loads(now.data))
    if previous.fingerprint != now.fingerprint:
        changes.append(f"outside state {_short(previous.fingerprint)} → {_short(now.fingerprint)}")
    if not changes:
        return "its result was no longer kept"
    more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
    return ", ".join(changes[:_MOST]) + more


def _differences(path: str, before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                found += _differences(f"{path}.{key}", before.get(key), after.get(key))
        return found
    return [f"{path} {_short(before)} → {_short(after)}"] if before != after else []


def _wire_changes(before: tuple[Wire, ...], after: tuple[Wire, ...]) -> list[str]:
    found = []
    for port in dict.fromkeys(w.port for w in (*before, *after)):
        old = [w for w in before if w.port == port]
        new = [w for w in after if w.port == port]
        if [w[1:3] for w in old] != [w[1:3] for w in new]:
            sources = ", ".join(f"{w.source}.{w.source_port}" for w in new) or "nothing"
            found.append(f"input rewired: {port} from {sources}")
        else:
            changed = (b for a, b in zip(old, new, strict=True) if a.key != b.key)
            found += [f"input changed: {port} from {wire.source}" for wire in changed]
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split()) or "“”"
    return text if len(text) <= 40 else f"{text[:39]}…"
