"""Which topics a spool says are wanted, and on which legs."""

from collections.abc import Iterable
from typing import Any

__all__ = ["Wanted"]


class Wanted:
    """Topics by category, each with the legs that are to carry it; of one spool, read in order."""

    def __init__(self) -> None:
        self._legs: dict[str, dict[str, set[int]]] = {}
        self._carried_over: set[tuple[str, str]] = set()  # their legs are those of an earlier run

    def state(self) -> tuple[Any, ...]:
        """Return what is wanted as plain values."""
        legs = {
            category: [(topic, sorted(legs)) for topic, legs in known.items()]
            for category, known in self._legs.items()
        }
        return legs, sorted(self._carried_over)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Take what `state` returned for what is wanted."""
        legs, carried_over = state
        self._legs = {category: {topic: set(on) for topic, on in known} for category, known in legs.items()}
        self._carried_over = {(category, topic) for category, topic in carried_over}

    @property
    def topics(self) -> dict[str, list[str]]:
        """The topics of each category, sorted."""
        return {category: sorted(legs) for category, legs in self._legs.items()}

    def unknown(self, category: str, topics: Iterable[str]) -> list[str]:
        """Return those of the topics that are not wanted on any leg."""
        known = self._legs.get(category, {})
        return [topic for topic in dict.fromkeys(topics) if topic not in known]

    def begin_run(self) -> None:
        """Another run of the recorder begins: what it wants leaves the legs of the run before."""
        self._carried_over = {(category, topic) for category, legs in self._legs.items() for topic in legs}

    def join(self, category: str, topics: Iterable[str], leg: int) -> dict[int, list[str]]:
        """Want topics on a leg; return those that leave legs of an earlier run by that, by leg."""
        known = self._legs.setdefault(category, {})
        left: dict[int, list[str]] = {}
        for topic in topics:
            if (category, topic) in self._carried_over:
                self._carried_over.remove((category, topic))
                for earlier in sorted(known.pop(topic, set()) - {leg}):
                    left.setdefault(earlier, []).append(topic)
            known.setdefault(topic, set()).add(leg)
        return left

    def part(self, category: str, topics: Iterable[str], leg: int) -> None:
        """Want topics on a leg no more."""
        known = self._legs.setdefault(category, {})
        for topic in topics:
            legs = known.get(topic, set())
            legs.discard(leg)
            if not legs:
                known.pop(topic, None)

    def keep(self, category: str, topics: Iterable[str]) -> dict[int, list[str]]:
        """Want no others than these of a category; return those that are wanted no more, by leg."""
        known = self._legs.get(category, {})
        gone: dict[int, list[str]] = {}
        for topic in sorted(known.keys() - set(topics)):
            for leg in sorted(known.pop(topic)):
                gone.setdefault(leg, []).append(topic)
        return gone
