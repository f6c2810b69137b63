"""The order in which steps are built: what a step needs comes before it; circles are cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def ordered(
    ids: Iterable[str], needs: Mapping[str, Iterable[str]]
) -> tuple[list[str], set[tuple[str, str]]]:
    """(ids in order, what was cut): `needs` is id -> ids that come before it.

    Cut is every (source, target) that closes a circle, found from the first id on.
    """
    ids = list(ids)
    after: dict[str, list[str]] = {i: [] for i in ids}
    for target, sources in needs.items():
        for source in sources:
            if source in after and target in after and target not in after[source]:
                after[source].append(target)
    cut: set[tuple[str, str]] = set()
    done: list[str] = []
    state: dict[str, int] = {}
    # Those that need nothing first, so that circles are cut where they lead back.
    roots = [i for i in ids if not any(s in after for s in needs.get(i, ()))]
    # Backwards, because what is done last stands first in the end: the order of the file.
    for root in [*reversed(roots), *reversed(ids)]:
        if root in state:
            continue
        state[root] = 1
        stack = [(root, reversed(after[root]))]
        while stack:
            node, rest = stack[-1]
            follower = next(rest, None)
            if follower is None:
                stack.pop()
                state[node] = 2
                done.append(node)
            elif state.get(follower) == 1:
                cut.add((node, follower))
            elif follower not in state:
                state[follower] = 1
                stack.append((follower, reversed(after[follower])))
    done.reverse()
    return done, cut
