"""Which connection carries which topics: by the venue's limits and by how much each topic sends.

Pure arithmetic, no connection. What was placed is never moved: a rotation exchanges a connection, not its
share of the topics.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine.bybit import limits

__all__ = ["SHARD_WEIGHT_MAX", "Placement", "Shard", "weight"]

# Messages a second that a topic of a busy symbol is likely to send; most send fewer.
WEIGHTS: Final = {
    "orderbook.1": 10.0,
    "orderbook.25": 10.0,
    "orderbook.50": 15.0,
    "orderbook.100": 8.0,
    "orderbook.200": 8.0,
    "orderbook.1000": 5.0,
    "orderbook.rpi": 8.0,
    "orderbook.full": 5.0,
    "publicTrade": 8.0,
    "tickers": 5.0,
    "kline": 0.5,
    "priceLimit": 3.0,
    "insurance": 1.0,
    "adlAlert": 1.0,
    "allLiquidation": 0.2,
}
WEIGHT_ELSE: Final = 1.0

# One connection was seen to carry 2,000 messages a second with ease; beyond this another is opened.
SHARD_WEIGHT_MAX: Final = 4_000.0


def weight(topic: str) -> float:
    """Return the messages a second that a topic is likely to send."""
    kind, _, rest = topic.partition(".")
    return WEIGHTS.get(f"{kind}.{rest.partition('.')[0]}", WEIGHTS.get(kind, WEIGHT_ELSE))


class Shard:
    """The topics that share a connection. One that is ``hot`` is kept for its symbol alone."""

    def __init__(self, *, hot: bool = False) -> None:
        self.is_hot = hot
        self.topics: dict[str, None] = {}
        self.bytes = 0
        self.weight = 0.0
        self._keys: Counter[str] = Counter()

    def add(self, topics: Iterable[str]) -> None:
        """Take topics up."""
        for topic in topics:
            self.topics[topic] = None
            self._count(topic, 1)

    def discard(self, topic: str) -> None:
        """Let a topic go."""
        del self.topics[topic]
        self._count(topic, -1)

    def has_symbol_of(self, topic: str) -> bool:
        """Whether other topics of the same symbol are here."""
        return self._keys[_key(topic)] > 0

    def _count(self, topic: str, sign: int) -> None:
        self.bytes += sign * limits.argument_bytes(topic)
        self.weight += sign * weight(topic)
        self._keys[_key(topic)] += sign
        if not self._keys[_key(topic)]:
            del self._keys[_key(topic)]


class Placement:
    """The shards of one category, each topic on one of them."""

    def __init__(self, category: str) -> None:
        self.category = category
        self.shards: list[Shard] = []
        self._homes: dict[str, Shard] = {}

    def __contains__(self, topic: str) -> bool:
        return topic in self._homes

    @property
    def topics(self) -> Iterator[str]:
        """All topics that are placed."""
        return iter(self._homes)

    def place(self, groups: Iterable[Sequence[str]], *, hot: bool = False) -> dict[Shard, list[str]]:
        """Place groups of topics, each together where a connection has room, and return the shards' parts.

        A group goes to where its symbol is, else to the lightest shard with room, else to a new one. ``hot``:
        each group of a new symbol gets a shard of its own. Topics that are placed already stay there.
        """
        fresh = self._fresh(groups)
        if not hot:
            self._open_enough(fresh)
        placed: dict[Shard, list[str]] = {}
        for group in fresh:
            shard = self._home(group) or (self._open(hot=True) if hot else self._lightest(group))
            shard.add(group)
            self._homes.update(dict.fromkeys(group, shard))
            placed.setdefault(shard, []).extend(group)
        self._drop_empty()
        return placed

    def remove(self, topics: Iterable[str]) -> dict[Shard, list[str]]:
        """Take topics out and return what each shard lost; an empty shard is gone."""
        removed: dict[Shard, list[str]] = {}
        for topic in dict.fromkeys(topics):
            shard = self._homes.pop(topic, None)
            if shard is not None:
                shard.discard(topic)
                removed.setdefault(shard, []).append(topic)
        self._drop_empty()
        return removed

    def _fresh(self, groups: Iterable[Sequence[str]]) -> list[list[str]]:
        known = set(self._homes)
        fresh: list[list[str]] = []
        for group in groups:
            fresh.append([topic for topic in dict.fromkeys(group) if topic not in known])
            known.update(group)
        return [part for group in fresh for part in self._parts(group)]

    def _parts(self, group: Sequence[str]) -> Iterator[list[str]]:
        """Cut a group that no connection has room for."""
        part = Shard()
        for topic in group:
            if not self._has_room(part, [topic]):
                yield list(part.topics)
                part = Shard()
            part.add([topic])
        if part.topics:
            yield list(part.topics)

    def _open(self, *, hot: bool = False) -> Shard:
        self.shards.append(Shard(hot=hot))
        return self.shards[-1]

    def _open_enough(self, groups: Sequence[Sequence[str]]) -> None:
        """Open as many as it takes, so that each gets its part and not one after the other a full load."""
        shared = [shard for shard in self.shards if not shard.is_hot]
        topics = [topic for group in groups for topic in group]
        needs = (
            (len(topics), self._count_max, sum(len(shard.topics) for shard in shared)),
            (sum(map(limits.argument_bytes, topics)), _bytes_max(), sum(shard.bytes for shard in shared)),
            (sum(map(weight, topics)), SHARD_WEIGHT_MAX, sum(shard.weight for shard in shared)),
        )
        missing = (need - (limit * len(shared) - used) for need, limit, used in needs)
        shards = max(
            -int(-lack // limit) for lack, (_, limit, _) in zip(missing, needs, strict=True) if limit
        )
        for _ in range(shards):
            self._open()

    def _home(self, group: Sequence[str]) -> Shard | None:
        """Find where other topics of the symbol are, if there is room."""
        for shard in self.shards:
            if shard.has_symbol_of(group[0]) and self._has_room(shard, group):
                return shard
        return None

    def _lightest(self, group: Sequence[str]) -> Shard:
        roomy = [shard for shard in self.shards if not shard.is_hot and self._has_room(shard, group)]
        return min(roomy, key=lambda shard: shard.weight, default=None) or self._open()

    def _has_room(self, shard: Shard, group: Sequence[str]) -> bool:
        if not shard.topics:
            return True
        return (
            len(shard.topics) + len(group) <= self._count_max
            and shard.bytes + sum(map(limits.argument_bytes, group)) <= _bytes_max()
            and shard.weight + sum(map(weight, group)) <= SHARD_WEIGHT_MAX
        )

    @property
    def _count_max(self) -> int:
        return limits.ARGS_PER_CONNECTION_MAX.get(self.category, _bytes_max())

    def _drop_empty(self) -> None:
        self.shards = [shard for shard in self.shards if shard.topics]


def _bytes_max() -> int:
    return limits.ARGS_BYTES_PER_CONNECTION_MAX


def _key(topic: str) -> str:
    return topic.rpartition(".")[2]
