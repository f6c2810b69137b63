"""robots.txt as RFC 9309 describes it: the rule with the longest path wins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

#: What this program is called in robots.txt.
AGENT = "ragloom"
#: Bytes of a robots.txt that are read (RFC 9309, 2.5: at least 500 kibibytes).
MAX_BYTES = 512 * 1024
_MAX_RULES = 5_000
_MAX_DELAY_S = 30.0


@dataclass(frozen=True, slots=True)
class Robots:
    """What a site lets this program read, and how fast."""

    #: (path pattern, allowed)
    rules: tuple[tuple[str, bool], ...] = ()
    #: Seconds between requests that the site asks for; 30 at most.
    delay_s: float = 0.0

    @classmethod
    def nothing(cls) -> Robots:
        """Nothing may be read: what a site says whose robots.txt cannot be had."""
        return cls((("/", False),))

    @classmethod
    def parse(cls, text: str) -> Robots:
        """Rules of the group that names this program, else of the one for everybody."""
        groups: list[tuple[list[str], list[tuple[str, bool]], list[float]]] = []
        in_names = False
        for line in text.lstrip("\ufeff").splitlines():
            name, _, value = line.partition("#")[0].partition(":")
            name, value = name.strip().lower(), value.strip()
            if name == "user-agent":
                if not in_names:
                    groups.append(([], [], []))
                groups[-1][0].append(value.lower())
                in_names = True
                continue
            if not groups or name not in ("allow", "disallow", "crawl-delay"):
                continue
            in_names = False
            _, rules, delays = groups[-1]
            if name == "crawl-delay":
                if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", value):
                    delays.append(min(float(value), _MAX_DELAY_S))
            elif value and len(rules) < _MAX_RULES:
                rules.append((_plain(value), name == "allow"))
        mine = [g for g in groups if any(_is_me(agent) for agent in g[0])]
        mine = mine or [g for g in groups if "*" in g[0]]
        return cls(
            tuple(rule for group in mine for rule in group[1]),
            max((delay for group in mine for delay in group[2]), default=0.0),
        )

    def allows(self, path: str) -> bool:
        """Whether a path, with its query, may be read."""
        path = _plain(path) or "/"
        fitting = [
            (len(pattern), allowed) for pattern, allowed in self.rules if _fits(pattern, path)
        ]
        # Of rules of the same length, the one that allows wins.
        return max(fitting)[1] if fitting else True


def _is_me(agent: str) -> bool:
    found = re.match(r"[a-z_-]+", agent)
    return found is not None and found[0] == AGENT


def _plain(path: str) -> str:
    """The same path however it was encoded."""
    return quote(unquote(path), safe="/?#[]@!$&'()*+,;=:%~")


def _fits(pattern: str, path: str) -> bool:
    """Whether a path begins as a pattern says: `*` is anything, a last `$` the end.

    Taken piece by piece, leftmost first, so that no pattern takes more than linear time.
    """
    ends = pattern.endswith("$")
    first, *pieces = (pattern[:-1] if ends else pattern).split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if ends and not pieces:
        return at == len(path)
    for number, piece in enumerate(pieces, start=1):
        if ends and number == len(pieces):
            return path.endswith(piece) and len(path) - len(piece) >= at
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True
