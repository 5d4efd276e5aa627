"""Stretches of time as lists of (start, end), sorted and without overlap once they went through `union`."""

from collections.abc import Iterable
from itertools import pairwise

__all__ = ["Interval", "intersect", "subtract", "union"]

Interval = tuple[int, int]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same time without overlaps, in order."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif start < end:
            joined.append((start, end))
    return joined


def intersect(one: list[Interval], other: list[Interval]) -> list[Interval]:
    """Return the time that is in both."""
    found = []
    left, right = iter(one), iter(other)
    first, second = next(left, None), next(right, None)
    while first is not None and second is not None:
        start, end = max(first[0], second[0]), min(first[1], second[1])
        if start < end:
            found.append((start, end))
        if first[1] <= second[1]:
            first = next(left, None)
        else:
            second = next(right, None)
    return found


def subtract(one: list[Interval], other: list[Interval]) -> list[Interval]:
    """Return the time that is in ``one`` and not in ``other``."""
    if not one:
        return []
    start, end = one[0][0], one[-1][1]
    edges = [(start, start), *other, (end, end)]
    rest = [(before[1], after[0]) for before, after in pairwise(edges)]
    return intersect(one, [interval for interval in rest if interval[0] < interval[1]])
