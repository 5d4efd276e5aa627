"""Options of a `Feed`: names, units, defaults and rules, in one place."""

from dataclasses import dataclass, fields
from typing import Any, Final, TypedDict

from engine.errors import ConfigError, nearest

__all__ = ["FeedOptionNames", "FeedOptions", "feed_options"]

KIB: Final = 1024
MIB: Final = 1024 * KIB


class FeedOptionNames(TypedDict, total=False):
    """The options of `FeedOptions` as keyword arguments."""

    ping_interval_s: float
    pong_timeout_s: float
    reconnect_delay_s: float
    reconnect_delay_max_s: float
    connect_timeout_s: float
    ack_timeout_s: float
    snapshot_timeout_s: float
    resync_delay_max_s: float
    rejected_retry_s: float
    rotate_after_s: float
    message_bytes_max: int
    receive_buffer_bytes: int
    liveness: bool
    audit_interval_s: float
    backfill: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """How connections behave and what is watched. Times are in seconds, sizes in bytes, all above zero.

    - ping_interval_s: a JSON ping is sent this often. The venue asks for 20.
    - pong_timeout_s: no frame of any kind for this long after a ping: reconnect. Below ``ping_interval_s``.
    - reconnect_delay_s: the wait before the first attempt to reconnect; it doubles with each failure.
    - reconnect_delay_max_s: where that doubling ends. Every wait has jitter; attempts never end.
    - connect_timeout_s: name resolution, TCP, TLS and handshake together.
    - ack_timeout_s: a request unanswered for so long is made again; the third time ends the connection, then
      the sixth, the twelfth: a topic that is never answered must not keep interrupting the others.
    - snapshot_timeout_s: a subscribed book without a snapshot for so long is subscribed anew.
    - resync_delay_max_s: the longest wait between two resynchronisations of one topic.
    - rejected_retry_s: a rejected topic is tried again after this long, doubled each time up to an hour.
    - rotate_after_s: a connection this old is exchanged for a new one, without a gap; some a little earlier,
      so that not all are exchanged at once.
    - message_bytes_max: a longer message ends the connection. The longest known is about 300 KB.
    - receive_buffer_bytes: the kernel's buffer of a socket; a larger one hides how slow a reader is.
    - liveness: whether topics that are proven dead, while their connection lives, are subscribed anew.
    - audit_interval_s: so often one ``orderbook.1000`` is compared with REST, all of them in turn.
    - backfill: whether REST is asked for the trades and candles of a gap.
    """

    ping_interval_s: float = 20.0
    pong_timeout_s: float = 10.0
    reconnect_delay_s: float = 0.5
    reconnect_delay_max_s: float = 30.0
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 10.0
    snapshot_timeout_s: float = 5.0
    resync_delay_max_s: float = 30.0
    rejected_retry_s: float = 60.0
    rotate_after_s: float = 86_400.0
    message_bytes_max: int = 4 * MIB
    receive_buffer_bytes: int = 128 * KIB
    liveness: bool = True
    audit_interval_s: float = 60.0
    backfill: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type is bool:
                _check_choice(field.name, getattr(self, field.name))
            else:
                _check_positive(field.name, getattr(self, field.name), whole=field.type is int)
        _check_order("pong_timeout_s", self.pong_timeout_s, "ping_interval_s", self.ping_interval_s)
        _check_order(
            "reconnect_delay_s", self.reconnect_delay_s, "reconnect_delay_max_s", self.reconnect_delay_max_s
        )
        if self.ping_interval_s > 20:
            rule = "the venue closes connections that ping less often than every 20 s"
            raise ConfigError("ping_interval_s", self.ping_interval_s, rule, "use 20 or less")


def feed_options(**options: Any) -> FeedOptions:
    """Return checked options. Raises ConfigError; a misspelt name is answered with the nearest right one."""
    known = [field.name for field in fields(FeedOptions)]
    for name, value in options.items():
        if name not in known:
            similar = nearest(name, known) or tuple(known)
            raise ConfigError(name, value, "there is no such option", "use " + " or ".join(similar))
    return FeedOptions(**options)


def _check_positive(name: str, value: object, *, whole: bool) -> None:
    allowed = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise ConfigError(
            name, value, "must be a whole number" if whole else "must be a number", "see FeedOptions"
        )
    if not 0 < value < float("inf"):
        raise ConfigError(name, value, "must be above 0 and finite", "see FeedOptions")


def _check_choice(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(name, value, "must be True or False", "see FeedOptions")


def _check_order(low_name: str, low: float, high_name: str, high: float) -> None:
    if low > high:
        raise ConfigError(
            low_name, low, f"must not exceed {high_name}, which was {high}", f"lower {low_name}"
        )
