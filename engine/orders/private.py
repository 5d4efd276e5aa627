"""The account's own streams (``/v5/private``): subscriptions and what they push. Sans-I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.bybit import replies
from engine.bybit.credentials import Credentials
from engine.clock import NS_PER_S, Instant
from engine.errors import ConfigError
from engine.orders.login import LoginSession
from engine.requests import Requests

__all__ = ["PrivateSession", "Push", "topics"]

ACK_TIMEOUT_S: Final = 10.0
ALL_IN_ONE: Final = ("order", "execution", "position")
NO_POSITIONS: Final = frozenset({"spot"})
CATEGORIES: Final = ("linear", "inverse", "spot", "option", "spread")
DCP: Final = {"linear": "dcp.future", "inverse": "dcp.future", "spot": "dcp.spot", "option": "dcp.option"}
DEMO_HAS_NOT: Final = ("execution.fast", "dcp", "spread")


@dataclass(frozen=True, slots=True)
class Push:
    """One message of a stream: its topic without the category, and its rows as the venue sends them."""

    topic: str
    category: str
    rows: tuple[Mapping[str, Any], ...]
    created_ms: int


def topics(
    categories: Iterable[str],
    *,
    environment: str,
    is_per_category: bool = False,
    with_fast: bool = False,
    with_dcp: bool = False,
) -> tuple[str, ...]:
    """Return the topics that an account's categories need.

    All categories at once, or one topic for each (``is_per_category``). ``with_fast`` adds executions without
    fees, sooner; ``with_dcp`` has the venue cancel when the last connection is gone (institutions only).
    """
    wanted = tuple(dict.fromkeys(categories))
    for category in wanted:
        if category not in CATEGORIES:
            raise ConfigError("category", category, "has no orders", "use one of " + ", ".join(CATEGORIES))
    plain = tuple(one for one in wanted if one != "spread")
    names = ALL_IN_ONE + (("execution.fast",) if with_fast else ())
    found: list[str] = []
    if is_per_category:
        for name in names:
            found += [f"{name}.{one}" for one in plain if name != "position" or one not in NO_POSITIONS]
    elif plain:
        found += names
    found += ["wallet", "greeks"] if "option" in plain else ["wallet"]
    found += ["spread.order", "spread.execution"] if "spread" in wanted else []
    found += dict.fromkeys(DCP[one] for one in plain) if with_dcp else ()
    if environment == "demo":
        return tuple(one for one in found if not one.startswith(DEMO_HAS_NOT))
    return tuple(found)


class PrivateSession(LoginSession):
    """The connection of the account's streams: logs in, subscribes each topic by itself, hands out pushes.

    One topic that the venue refuses must not take the others with it; it is in ``refused`` with the reason.
    `is_subscribed` once all topics are answered: what happened before must then be asked for by REST.
    """

    def __init__(self, credentials: Credentials, wanted: Iterable[str]) -> None:
        super().__init__(credentials)
        self.wanted = tuple(wanted)
        self.confirmed: set[str] = set()
        self.refused: dict[str, str] = {}
        self.pushes = 0
        self._requests = Requests("p", round(ACK_TIMEOUT_S * NS_PER_S))
        self._pushed: list[Push] = []

    @property
    def is_subscribed(self) -> bool:
        """Whether every topic is confirmed or refused on this connection."""
        return self.is_ready and self.confirmed | self.refused.keys() >= set(self.wanted)

    def disconnected(self, now: Instant) -> None:
        """The socket is gone; what is pushed until the next subscription is lost."""
        super().disconnected(now)
        self.confirmed.clear()
        self.refused.clear()
        self._requests.clear()

    def take_pushes(self) -> list[Push]:
        """Hand over what was pushed since the last call, in order."""
        pushed, self._pushed = self._pushed, []
        return pushed

    def _logged_in(self, now: Instant) -> None:
        for topic in self.wanted:
            self._sends.append(self._requests.make("subscribe", (topic,), now.mono_ns).encoded())

    def _received(self, message: Mapping[str, Any], now: Instant) -> None:
        if isinstance(message.get("topic"), str):
            self._push(message)
            return
        reply = replies.read(message)
        request = self._requests.answered(reply) if reply.kind == "answer" else None
        if request is None:
            self.strays += 1
            return
        self._requests.close(request)
        if reply.success or replies.is_already_subscribed(reply.reason):
            self.confirmed.update(request.topics)
        else:
            self.refused.update(dict.fromkeys(request.topics, reply.reason or "refused"))

    def _push(self, message: Mapping[str, Any]) -> None:
        data, created = message.get("data"), message.get("creationTime")
        if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
            self.strays += 1
            return
        name = message["topic"]
        stem, _, category = name.rpartition(".")
        is_categorised = category in CATEGORIES and stem != ""
        topic = stem if is_categorised else name
        created_ms = created if isinstance(created, int) else 0
        self.pushes += 1
        self._pushed.append(Push(topic, category if is_categorised else "", tuple(data), created_ms))

    def _check(self, now: Instant) -> None:
        if self._requests.late(now.mono_ns) and self.reconnect_cause is None:
            self.reconnect_cause = "ack_timeout"

    def _deadlines(self) -> list[int]:
        return self._requests.deadlines_ns
