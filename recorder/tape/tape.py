"""Tape: a range of a recording, from its spool or a database, through the same Dispatcher and Listener."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from engine.clock import NS_PER_S, Clock, SystemClock
from engine.errors import ConfigError
from ext.listener import Listener
from recorder import shards
from recorder.folder import DataFolder
from recorder.history.moments import iso, parse_moment
from recorder.tape.listeners import Copies, Gate, Heard, Selection
from recorder.tape.of_spool import SpoolRange

__all__ = ["Pacer", "Tape", "spool_range"]

When = str | int | datetime
"""A time: ISO 8601 with a zone, ns since 1970, or a datetime with a zone."""

SPEED_MAX: Final = 1_000_000.0


class _Range(Protocol):
    """What a Tape plays."""

    counters: dict[str, int]

    def topics(self) -> dict[str, set[str]]: ...

    def play(self, gate: Gate, *, each: bool) -> Iterator[int]: ...


class Tape:
    """A range of a recording, played as often as wanted. docs/replay.md is the contract. For one thread.

    Args:
        place: a data folder (its spool is played), a database folder or the http(s) URL of a server.
        start, end: ISO 8601 with a zone, a datetime with one, or ns since 1970; `end` is not in the range.
            None: from the first record, to the last.
        category, symbols, topics: what the listener hears; topics may have `*`. Empty: everything.
        shard: which spool of a data folder.
        recorder: which one of a database; "" if it has one only.
        clock, sleep: for pacing; replaced in tests.

    Attributes:
        counters: of the latest run: `records`, `frames`, and from a database `undelivered`.

    Raises:
        UsageError: no such place, time, topic or symbol; the message names what there is.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        start: When | None = None,
        end: When | None = None,
        category: str = "",
        symbols: Iterable[str] = (),
        topics: Iterable[str] = (),
        shard: int = 0,
        recorder: str = "",
        clock: Clock | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._selection = Selection(category, symbols, topics)
        self._pacing = (clock or SystemClock(), sleep)
        times = range_ns(start, end)
        self._range: _Range
        if is_database(place):
            from recorder.tape.of_tables import TableRange  # the database engine takes a second to load

            self._range = TableRange(place, recorder, *times)
        else:
            if recorder:
                raise ConfigError("recorder", recorder, "a spool has one", "give the shard, or a database")
            self._range = spool_range(Path(place), shard, *times)
        if not self._selection.is_all:
            self._selection.check(self._range.topics())

    @property
    def counters(self) -> dict[str, int]:
        """Counts of the latest run."""
        return self._range.counters

    def run(self, listener: Listener, speed: float | None = None) -> None:
        """Play the range into a listener, at `speed` times the pace of the recording; None: at once.

        Blocks until the end. Raises ConfigError for a speed that cannot be.
        """
        for _ in self.steps(listener, speed):
            pass

    def steps(self, listener: Listener, speed: float | None = None) -> Iterator[None]:
        """Play as `run` does, and yield from time to time, between two records, outside of any callback."""
        if speed is not None and not 0 < speed <= SPEED_MAX:
            raise ConfigError("speed", speed, f"it is above 0, up to {SPEED_MAX:,.0f}", "or None: at once")
        clock, sleep = self._pacing
        pacer = None if speed is None else Pacer(clock, speed)
        for recv_ns in self._range.play(Gate(listener, self._selection), each=pacer is not None):
            if pacer is not None and (wait_s := pacer.wait_s(recv_ns)) > 0:
                sleep(wait_s)
            yield

    def __iter__(self) -> Iterator[Heard]:
        """Yield what a listener would hear, as copies; a book once a message."""
        heard = Copies()
        for _ in self.steps(heard):
            yield from heard.take()
        yield from heard.take()


class Pacer:
    """Says how long a record has to wait, to come `speed` times as fast as it was received."""

    def __init__(self, clock: Clock, speed: float) -> None:
        self._clock = clock
        self._speed = speed
        self._begun: tuple[int, int] | None = None

    def wait_s(self, recv_ns: int) -> float:
        """Return the seconds to wait for a record of that time; 0 or less: it is due."""
        now_ns = self._clock.now().mono_ns
        if self._begun is None:
            self._begun = (recv_ns, now_ns)
        first_ns, begun_ns = self._begun
        return ((recv_ns - first_ns) / self._speed - (now_ns - begun_ns)) / NS_PER_S


def range_ns(start: When | None, end: When | None) -> tuple[int | None, int | None]:
    """Return a range in ns. Raises ConfigError."""
    first, last = (None if one is None else _ns(name, one) for name, one in (("start", start), ("end", end)))
    if first is not None and last is not None and last <= first:
        raise ConfigError("end", iso(last), f"it is after the start, {iso(first)}", "give a later end")
    return first, last


def _ns(name: str, when: When) -> int:
    text = when.isoformat() if isinstance(when, datetime) else str(when)
    moment = parse_moment(name, text)
    if moment.position:
        raise ConfigError(name, text, "a range is between times", "give a time")
    return moment.ns


def is_database(place: str | Path) -> bool:
    """Whether a place is a database: a URL, or the folder of an embedded one."""
    return str(place).startswith(("http://", "https://")) or (Path(place) / "engine").is_file()


def spool_range(data: Path, shard: int, start_ns: int | None, end_ns: int | None) -> SpoolRange:
    """Return the range of the spool of a shard. Raises UsageError where there is none."""
    folder = DataFolder(data).existing()
    there = shards.existing(folder)
    if shard not in there:
        raise ConfigError("shard", shard, f"{data} has {', '.join(map(str, there))}", f"use {there[0]}")
    return SpoolRange(folder.spool_of(shard), start_ns, end_ns)
