"""The writing end of the spool: one recorder, one folder, one journal. docs/spool.md has the rules."""

import errno
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from ext.journal import Journal, RecordKind
from recorder.spool.lock import FolderLock
from recorder.spool.recovery import recover
from recorder.spool.segments import (
    FORMAT,
    SEGMENT_BYTES,
    SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN,
    prepare,
    segment_path,
    spool_bytes,
)

__all__ = ["SPACE_RETRY_MS", "SYNC_INTERVAL_MS", "Spool"]

SYNC_INTERVAL_MS: Final = 200
SPACE_RETRY_MS: Final = 1000
NUMBER_MASK: Final = 0xFFFFFFFF  # of a position: the record's number within its segment
LOSSES_MAX: Final = 1000  # told by `take_losses`; the records of all of them are in the spool

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    number: int
    fd: int


def _nothing_open() -> dict[str, Any]:
    return {"connections": [], "topics": {}}


class Spool:
    """Opens a folder for writing: takes its lock, recovers it, starts a segment. Frames go to ``journal``.

    ``recorder`` names who writes here. ``now`` returns ``(wall ns, monotonic ns)``. ``describe`` returns what
    each segment restates, ``{"connections": [{"connection", "category", "leg", "url"}], "topics": {category:
    [topic]}}``; it may be set later and is called on the thread of ``journal``. ``journal`` is one to go on
    with, of a recorder that takes over; a new one if not given. Beyond ``quota_bytes`` (0: none) no further
    segment is prepared, as on a full disk; the one to begin with always is.

    All methods and the journal belong to one thread. A second one, of the spool's own, syncs, prepares the
    next segment and cuts the one before. ``failure`` is why there is no room for the next segment, None while
    there is. Raises FolderInUseError, SpoolError, OSError.
    """

    def __init__(
        self,
        folder: Path,
        recorder: str,
        *,
        now: Callable[[], tuple[int, int]],
        describe: Callable[[], dict[str, Any]] = _nothing_open,
        segment_bytes: int = SEGMENT_BYTES,
        quota_bytes: int = 0,
        journal: Journal | None = None,
    ) -> None:
        if not SEGMENT_BYTES_MIN <= segment_bytes <= SEGMENT_BYTES_MAX:
            raise ValueError(
                f"segment_bytes was {segment_bytes}; use {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}"
            )
        self.folder = folder
        self.recorder = recorder
        self.describe = describe
        self.segment_bytes = segment_bytes
        self.quota_bytes = quota_bytes
        self.syncs = 0
        self.sync_errors = 0
        self.failure: OSError | None = None
        self._refused_for = ""  # since refusing began; there may be room again when it ends
        self._now = now
        self._losses: deque[dict[str, Any]] = deque(maxlen=LOSSES_MAX)
        self._retired: deque[tuple[_Open, int]] = deque()
        self._current: _Open | None = None
        self._prepared: _Open | None = None
        self._preparing = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._synced_position = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._folder_lock = FolderLock(folder)
        try:
            self.recovered = recover(folder, recorder)
            self._next_number = self.recovered.next_segment
            self._previous = (self.recovered.position, self.recovered.recv_ns)
            self._prepared = self._create()
            self._begin(journal)
        except BaseException:
            self._retire(0)
            self._let_go()
            raise
        self._tell_recovered()
        self._worker = threading.Thread(target=self._work, name="spool", daemon=True)
        self._worker.start()

    def _begin(self, journal: Journal | None) -> None:
        if journal is None:
            self._reason = "start"
            self.journal = Journal(self, *self._now())
        else:
            self._reason = "takeover"
            journal.move(self, *self._now())
            self.journal = journal
        self._reason = "rotation"

    def heartbeat(self) -> int:
        """Record that the recorder is alive, and write all that was appended; return the position."""
        position = self.journal.append_record(RecordKind.HEARTBEAT, b"", 0, *self._now())
        self.journal.commit()
        return position

    def take_losses(self) -> list[dict[str, Any]]:
        """Return the payloads of the ``LOST`` records since the last call, for live dispatchers to obey."""
        losses = list(self._losses)
        self._losses.clear()
        return losses

    def close(self) -> None:
        """Record that the recorder stops on purpose, sync everything, let the folder go. May be repeated."""
        if self._closing:
            return
        self.journal.append_record(RecordKind.STOPPED, b"", 0, *self._now())
        self._retire(self.journal.close())
        self._closing = True
        self._wake.set()
        self._worker.join()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell_recovered(self) -> None:
        if self.recovered.cut_bytes:
            logger.warning(
                "cut %d bytes of a torn tail off the spool %s", self.recovered.cut_bytes, self.folder
            )
        for damage in self.recovered.damage:
            logger.error("the spool %s is damaged: %r", self.folder, damage)

    def _let_go(self) -> None:
        self._finish_retired()
        if self._prepared is not None:
            self._drop(self._prepared)
            self._prepared = None
        self._folder_lock.release()

    # What the journal asks for, on its own thread.

    def next_segment(self, position: int, recv_ns: int, used: int) -> tuple[int, int, int, bytes] | None:
        """Hand out the next segment, ``(fd, number, size, first payload)``; None while there is no room."""
        segment = self._prepared_or_late()
        if segment is None:
            return None
        if position & NUMBER_MASK and self._reason == "rotation":
            self._previous = (position, recv_ns)
        payload = self._first_payload(segment.number)
        self._prepared = None
        self._retire(used)
        self._current = segment
        self._wake.set()
        return segment.fd, segment.number, self.segment_bytes, payload

    def lost(self, start_ns: int, recv_ns: int, records: int) -> bytes:
        """Return the payload of a ``LOST`` record; 0 ``records``: refusing begins."""
        reason = self.failure.strerror if self.failure else self._refused_for
        if not reason:
            reason = f"a segment has {self.segment_bytes} bytes"
        self._refused_for = "" if records else reason
        payload = {
            "topics": None,
            "start_ns": start_ns,
            "cause": "own_drop",
            "fault": "ours",
            "detail": f"{records} records refused: {reason}" if records else f"records are refused: {reason}",
        }
        if records:
            self._losses.append(payload)
        return orjson.dumps(payload)

    def write_failed(self, error: int, used: int) -> None:
        """End the segment that a write failed on."""
        self._fail(OSError(error, os.strerror(error)))
        self._retire(used)

    def _first_payload(self, number: int) -> bytes:
        position, recv_ns = self._previous
        return orjson.dumps(
            {
                "format": FORMAT,
                "recorder": self.recorder,
                "segment": number,
                "reason": self._reason,
                "previous": position,
                "previous_recv_ns": recv_ns,
                **self.describe(),
            }
        )

    def _prepared_or_late(self) -> _Open | None:
        if self._prepared is None and self.failure is None:
            # The worker is late, but has not failed: waiting for a segment is better than losing frames.
            self._prepare_ahead()
        return self._prepared

    def _retire(self, used: int) -> None:
        if self._current is not None:
            self._retired.append((self._current, used))
            self._current = None

    # Also on the worker's thread.

    def _create(self) -> _Open:
        segment = _Open(self._next_number, prepare(self.folder, self._next_number, self.segment_bytes))
        self._next_number += 1
        return segment

    def _prepare_ahead(self) -> None:
        with self._preparing:
            if self._prepared is not None or self._closing:
                return
            try:
                self._refuse_beyond_quota()
                self._prepared = self._create()
            except OSError as error:
                self._fail(error)
                return
            if self.failure is not None:
                self.failure = None
                logger.warning("the spool %s has room again", self.folder)

    def _refuse_beyond_quota(self) -> None:
        if self.quota_bytes and spool_bytes(self.folder) + self.segment_bytes > self.quota_bytes:
            reason = f"the quota of {self.quota_bytes} bytes has no room for a segment"
            raise OSError(errno.EDQUOT, reason)

    def _fail(self, error: OSError) -> None:
        if self.failure is None:
            logger.error(
                "no segment of the spool %s can be written, frames are refused soon: %s", self.folder, error
            )
        self.failure = error

    def _drop(self, segment: _Open) -> None:
        os.close(segment.fd)
        segment_path(self.folder, segment.number).unlink()

    # The worker.

    def _work(self) -> None:
        waited_ms = 0
        while not self._closing:
            waited_ms = 0 if self._wake.wait(SYNC_INTERVAL_MS / 1000) else waited_ms + SYNC_INTERVAL_MS
            self._wake.clear()
            self._sync()
            self._finish_retired()
            if self.failure is None or waited_ms >= SPACE_RETRY_MS:
                waited_ms = 0
                self._prepare_ahead()

    def _sync(self) -> None:
        current, position = self._current, self.journal.position
        if current is None or position == self._synced_position:
            return
        try:
            os.fdatasync(current.fd)
        except OSError:
            self.sync_errors += 1
            logger.exception("cannot sync segment %d of the spool %s", current.number, self.folder)
            return
        self.syncs += 1
        self._synced_position = position

    def _finish_retired(self) -> None:
        while self._retired:
            segment, used = self._retired.popleft()
            if used == 0:
                self._drop(segment)
                continue
            try:
                os.ftruncate(segment.fd, used)
                os.fsync(segment.fd)
            except OSError:
                self.sync_errors += 1
                logger.exception("cannot finish segment %d of the spool %s", segment.number, self.folder)
            os.close(segment.fd)
