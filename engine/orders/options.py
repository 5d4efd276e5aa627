"""Options of an `OrderClient`: names, units, defaults and rules, in one place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypedDict

from engine.errors import ConfigError, nearest
from engine.orders.limits import Limits
from engine.orders.reconcile import SWEEPS

__all__ = ["ClientOptionNames", "ClientOptions", "client_options"]

ANSWER_TIMEOUT_S_MAX: Final = 7.0  # an account gives up on an answer a little later
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "on_disconnect": ("cancel", "keep"),
    "on_exit": ("cancel", "keep"),
    "at_start": ("adopt", "cancel"),
}


class ClientOptionNames(TypedDict, total=False):
    """The options of `ClientOptions` as keyword arguments."""

    categories: tuple[str, ...]
    limits: Limits
    instance: str
    state_folder: Path
    on_disconnect: str
    on_exit: str
    at_start: str
    kill_file: Path | None
    kill_signal: int | None
    watchdog_s: float
    allow_withdrawal: bool
    is_per_category: bool
    with_fast: bool
    with_dcp: bool
    max_active_time: str
    answer_timeout_s: float
    ready_timeout_s: float


def state_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Return where a user's programs keep their state."""
    base = variables.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "tapehead"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How an order client behaves.

    - categories: what is traded: linear, inverse, spot, option.
    - limits: what the guards allow (`Limits`).
    - instance: 1 to 12 letters and digits that tell this program from others of the account; its orders are
      known by it.
    - state_folder: where the counter of starts is kept.
    - on_disconnect, on_exit: cancel or keep our open orders when a connection is lost, and at the end.
    - at_start: adopt or cancel our orders that an earlier start left open.
    - kill_file, kill_signal: the file whose appearance, and the signal that pulls the kill switch.
    - watchdog_s: after so long without a sign of life another process cancels our orders; 0: none.
    - allow_withdrawal: take a key that may withdraw.
    - is_per_category: subscribe ``order.linear`` ... in place of ``order``.
    - with_fast: subscribe executions without fees too, which come sooner.
    - with_dcp: have the venue cancel when the last connection is gone (institutions only).
    - max_active_time: how long the venue keeps a silent connection: 30s to 600s.
    - answer_timeout_s: an order request without an answer for so long is in doubt.
    - ready_timeout_s: how long the start may take.
    """

    categories: tuple[str, ...] = ("linear",)
    limits: Limits = field(default_factory=Limits)
    instance: str = "tapehead"
    state_folder: Path = field(default_factory=state_folder)
    on_disconnect: str = "cancel"
    on_exit: str = "cancel"
    at_start: str = "adopt"
    kill_file: Path | None = None
    kill_signal: int | None = None
    watchdog_s: float = 0.0
    allow_withdrawal: bool = False
    is_per_category: bool = False
    with_fast: bool = False
    with_dcp: bool = False
    max_active_time: str = ""
    answer_timeout_s: float = 5.0
    ready_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(name, getattr(self, name), "is no choice", "use " + " or ".join(known))
        for category in self.categories:
            if category not in SWEEPS:
                raise ConfigError("categories", category, "is not traded", "use " + ", ".join(SWEEPS))
        if not self.categories:
            raise ConfigError("categories", self.categories, "is empty", "name what is traded")
        if self.watchdog_s and not 1 <= self.watchdog_s <= 300:
            raise ConfigError("watchdog_s", self.watchdog_s, "is 1 to 300, or 0 for none")
        if not 0 < self.answer_timeout_s <= ANSWER_TIMEOUT_S_MAX:
            rule = f"is above 0, at most {ANSWER_TIMEOUT_S_MAX:g}"
            raise ConfigError("answer_timeout_s", self.answer_timeout_s, rule)
        if not 0 < self.ready_timeout_s < float("inf"):
            raise ConfigError("ready_timeout_s", self.ready_timeout_s, "is above 0 and finite")


def client_options(**options: Any) -> ClientOptions:
    """Return checked options. Raises ConfigError; a misspelt name is answered with the nearest right one."""
    known = [one.name for one in fields(ClientOptions)]
    for name, value in options.items():
        if name not in known:
            similar = nearest(name, known) or tuple(known)
            raise ConfigError(name, value, "there is no such option", "use " + " or ".join(similar))
    return ClientOptions(**options)
