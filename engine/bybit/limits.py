"""The venue's limits on connections and requests, and the splits that keep them."""

from collections.abc import Iterator, Sequence
from typing import Final

__all__ = [
    "ARGS_BYTES_PER_CONNECTION_MAX",
    "ARGS_BYTES_PER_REQUEST_MAX",
    "ARGS_PER_CONNECTION_MAX",
    "ARGS_PER_REQUEST_MAX",
    "CONNECTIONS_PER_CATEGORY_MAX",
    "NEW_CONNECTIONS_MAX",
    "NEW_CONNECTIONS_WINDOW_S",
    "argument_bytes",
    "requests",
]

# Spot refuses an eleventh argument ("args size >10"). The others document no count; very large requests made
# the venue close connections, so requests stay small there too.
ARGS_PER_REQUEST_MAX: Final = {
    "spot": 10,
    "linear": 100,
    "inverse": 100,
    "option": 100,
    "spread": 100,
    "status": 100,
}
ARGS_BYTES_PER_REQUEST_MAX: Final = 4_000

# "Length of the args array for one public connection": read as the sum over all requests of a connection.
ARGS_BYTES_PER_CONNECTION_MAX: Final = 21_000
ARGS_PER_CONNECTION_MAX: Final = {"option": 2_000}

# Per domain, all paths together. No more is asked for than this, whatever the reconnect delay.
NEW_CONNECTIONS_MAX: Final = 500
NEW_CONNECTIONS_WINDOW_S: Final = 300

# Open at the same time, from one address; each category has its own count.
CONNECTIONS_PER_CATEGORY_MAX: Final = 1_000


def argument_bytes(topic: str) -> int:
    """Return what a topic takes of the argument array: itself, two quotes and a comma."""
    return len(topic) + 3


def requests(category: str, topics: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Cut topics into requests of at most as many arguments and bytes as the venue takes at once."""
    packed: list[str] = []
    size = 0
    for topic in topics:
        topic_bytes = argument_bytes(topic)
        is_full = len(packed) == ARGS_PER_REQUEST_MAX[category]
        if packed and (is_full or size + topic_bytes > ARGS_BYTES_PER_REQUEST_MAX):
            yield tuple(packed)
            packed, size = [], 0
        packed.append(topic)
        size += topic_bytes
    if packed:
        yield tuple(packed)
