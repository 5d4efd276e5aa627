"""The keeper of a recording's spools: seals, compresses and deletes segments. docs/recorder.md has the rules.

Every step is a single change that a crash may cut anywhere: what is there decides what comes next.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.clock import NS_PER_S, Clock, SystemClock
from recorder import shards
from recorder.config import RecordConfig, SpoolOptions
from recorder.folder import DataFolder
from recorder.spool import sealing
from recorder.spool.durable import NEW, remove, sync_file
from recorder.spool.lock import FolderInUseError, FolderLock
from recorder.spool.seals import (
    EXPIRED_FILE,
    Gone,
    Reason,
    Seal,
    add_gone,
    covers,
    read_gone,
    read_seal,
    seal_path,
    write_seal,
)
from recorder.spool.segments import (
    SEGMENT_BYTES,
    Segment,
    SpoolError,
    compressed_path,
    loaded_through,
    segment_path,
    segments,
    spool_bytes,
)

__all__ = ["KEEPER_LOCK", "Keeper", "run"]

KEEPER_LOCK: Final = "keeper.lock"
POLL_S: Final = 1.0
NICENESS: Final = 10  # capture and loader go first

logger = logging.getLogger(__name__)


class Keeper:
    """Keeps one spool. ``room_bytes`` is what is to be free of ``quota_bytes`` (0: none) for a next segment.
    ``is_certain`` says whether what states tell is loaded is in the database of now: else none of it goes.

    `step` does one thing. ``counters`` says how many segments were sealed, compressed, expired, dropped, and
    how many are ``unsound``: not what was sealed, and left as they are. One a folder: its owner holds
    `KEEPER_LOCK`.
    """

    def __init__(
        self,
        folder: Path,
        options: SpoolOptions,
        *,
        quota_bytes: int = 0,
        room_bytes: int = SEGMENT_BYTES,
        clock: Clock | None = None,
        is_certain: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder = folder
        self.counters = dict.fromkeys(("sealed", "compressed", "expired", "dropped", "unsound"), 0)
        self._options = options
        self._quota_bytes = quota_bytes
        self._room_bytes = room_bytes
        self._clock = clock or SystemClock()
        self._is_certain = is_certain
        self._seals: dict[int, Seal] = {}
        self._unsound: set[int] = set()
        self._clear_unfinished()

    def step(self) -> bool:
        """Do the most urgent thing; False when there is nothing to do now. Raises OSError, SpoolError."""
        found = segments(self.folder)
        started = [segment for segment in found if segment.is_started]
        final = started[:-1]  # the last may still be written to
        return (
            self._finish_deletion(final)
            or self._let_go(final)
            or self._seal_next(final)
            or self._compress_next(final)
        )

    def _clear_unfinished(self) -> None:
        mine = (f"*.seal{NEW}", f"*.tape.zst{NEW}", f"{EXPIRED_FILE}{NEW}")
        leftovers = [path for pattern in mine for path in self.folder.glob(pattern)]
        if leftovers:
            remove(self.folder, *leftovers)

    # deleting

    def _finish_deletion(self, final: Sequence[Segment]) -> bool:
        """Delete what is noted as gone and is still there: a crash came between the two."""
        gone = read_gone(self.folder)
        numbers = [segment.number for segment in final if covers(gone, segment.number)]
        for number in numbers:
            self._delete(number)
        return bool(numbers)

    def _let_go(self, final: Sequence[Segment]) -> bool:
        if not final:
            return False
        oldest = final[0]
        reason = self._reason_to_go(oldest)
        if reason is None:
            return False
        seal = self._seal(oldest)
        topics = sealing.desired(oldest) if reason is Reason.DROPPED else {}
        add_gone(self.folder, seal.recorder, Gone.of(seal, reason, topics), seal.previous)
        self._delete(oldest.number)
        self.counters[reason] += 1
        if reason is Reason.DROPPED:
            logger.error(
                "segment %d of the spool %s is dropped, and was not loaded: the quota of %d bytes is full",
                oldest.number,
                self.folder,
                self._quota_bytes,
            )
        return True

    def _reason_to_go(self, oldest: Segment) -> Reason | None:
        is_loaded = oldest.number <= loaded_through(self.folder)
        is_pressed = self._quota_bytes > 0 and spool_bytes(self.folder) + self._room_bytes > self._quota_bytes
        if is_loaded:
            may_go = (is_pressed or self._is_old(oldest)) and self._is_certain()
            return Reason.EXPIRED if may_go else None
        return Reason.DROPPED if is_pressed and self._options.on_quota == "drop_oldest" else None

    def _is_old(self, segment: Segment) -> bool:
        age_ns = self._clock.now().wall_ns - self._seal(segment).last_recv_ns
        return age_ns > self._options.retention * NS_PER_S

    def _delete(self, number: int) -> None:
        paths = segment_path(self.folder, number), compressed_path(self.folder, number)
        remove(self.folder, *paths, seal_path(self.folder, number))
        self._seals.pop(number, None)

    # sealing

    def _seal_next(self, final: Sequence[Segment]) -> bool:
        for segment in final:
            if segment.number not in self._seals and segment.number not in self._unsound:
                self._seal(segment)
                return True
        return False

    def _seal(self, segment: Segment) -> Seal:
        """Return the seal of a final segment; made where there is none, or none that can be read."""
        number = segment.number
        if number in self._seals:
            return self._seals[number]
        try:
            seal = read_seal(self.folder, number)
        except SpoolError as error:
            self._leave(number, str(error))
            seal = sealing.seal_of(segment, "")
        if seal is None:
            sync_file(segment.path)  # its writer may be about to
            seal = sealing.seal_of(segment, "")
            for start, end, lost in seal.damage:
                logger.error("%s is damaged from byte %d to %d: %d records", segment.path, start, end, lost)
            write_seal(self.folder, seal)
            self.counters["sealed"] += 1
        self._seals[number] = seal
        return seal

    # compressing

    def _compress_next(self, final: Sequence[Segment]) -> bool:
        for segment in final:
            number = segment.number
            if segment.is_compressed or number in self._unsound or number not in self._seals:
                continue
            if compressed_path(self.folder, number).exists():
                self._exchange(number)
                return True
            if self._options.compress:
                if not sealing.compress(segment, self._seals[number]):
                    self._leave(number, f"{segment.path} is not what was sealed")
                return True
        return False

    def _exchange(self, number: int) -> None:
        """Delete the one of two files that is not needed: the plain one, if the other one is good."""
        path = compressed_path(self.folder, number)
        seal = self._seals[number]
        segment = Segment(number, path, path.stat().st_size, is_started=True)
        if not sealing.is_whole(segment, seal):
            remove(self.folder, path)
            return
        self._seals[number] = replace(seal, compressed_bytes=segment.bytes)
        write_seal(self.folder, self._seals[number])
        remove(self.folder, segment_path(self.folder, number))
        self.counters["compressed"] += 1

    def _leave(self, number: int, problem: str) -> None:
        self._unsound.add(number)
        self.counters["unsound"] = len(self._unsound)
        logger.error("segment %d is left as it is: %s", number, problem)


class _Keepers:
    """A keeper for each shard that ever recorded into the folder, each with the lock of its spool."""

    def __init__(self, config: RecordConfig) -> None:
        self._config = config
        self._data = DataFolder(config.data)
        self._locks = ExitStack()
        self._keepers: dict[int, Keeper] = {}
        self._troubles: dict[int, str] = {}

    def step(self) -> bool:
        """Let each do one thing; False when there is nothing to do."""
        busy = False
        for shard in shards.existing(self._data):
            try:
                busy = self._keeper(shard).step() or busy
                self._troubles.pop(shard, None)
            except (OSError, SpoolError, FolderInUseError) as error:
                if self._troubles.get(shard) != str(error):
                    logger.error("the spool %s is not kept: %s", self._data.spool_of(shard), error)
                self._troubles[shard] = str(error)
        return busy

    def _keeper(self, shard: int) -> Keeper:
        if shard not in self._keepers:
            folder = self._data.spool_of(shard)
            self._locks.enter_context(FolderLock(folder, KEEPER_LOCK))
            options = self._config.spool
            quota_bytes = options.quota_of_each(self._config.shards)
            self._keepers[shard] = Keeper(
                folder, options, quota_bytes=quota_bytes, is_certain=self._is_certain
            )
        return self._keepers[shard]

    def _is_certain(self) -> bool:
        """Whether the loader has held the states against the database of now, or that is as it was, but away.

        A database may be new, or another one than before; and segments may be about to be loaded anew.
        """
        is_told = bool(self._data.read_status("loader"))
        return is_told and self._data.server == self._config.database.url and not self._data.wish.exists()

    def status(self) -> dict[str, Any]:
        """What was done, and how many bytes there are, of all spools."""
        kept = list(self._keepers.values())
        names = kept[0].counters if kept else ()
        counters = {name: sum(one.counters[name] for one in kept) for name in names}
        return {
            "pid": os.getpid(),
            "spool_bytes": sum(spool_bytes(one.folder) for one in kept),
            "quota_bytes": self._config.spool.quota,
            **counters,
            "troubles": list(self._troubles.values()),
        }

    def close(self) -> None:
        """Let the spools go."""
        self._locks.close()


def run(config: RecordConfig, on_ready: Callable[[], None]) -> None:
    """Be the keeper process: keep the spools until SIGTERM or SIGINT, and say each second how it is."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(NICENESS)
    keepers = _Keepers(config)
    data = DataFolder(config.data)
    clock = SystemClock()
    told_ns = 0
    on_ready()
    while not stop.is_set():
        busy = keepers.step()
        now_ns = clock.now().mono_ns
        if now_ns - told_ns >= POLL_S * NS_PER_S:
            told_ns = now_ns
            data.write_status("keeper", keepers.status())
        if not busy:
            stop.wait(POLL_S)
    keepers.close()
