"""A spool as rows of the database: its playback and what makes rows of it, and the state of all that."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from ext.columns import Columns
from ext.listener import Listener
from ext.state import columns_state, restore_columns
from recorder import ledger
from recorder.instruments import InstrumentRows
from recorder.loading import state
from recorder.loading.batches import DECODER_VERSION
from recorder.loading.state import State
from recorder.playback import Playback, RestHandler
from recorder.spool.seals import beyond, read_gone
from recorder.sql import schema

__all__ = ["Decoding", "nearest_playback"]

INSTRUMENTS_PATH: Final = "/v5/market/instruments-info"
RUN_RECORDS: Final = 10_000
POSITION_MAX: Final = (1 << 64) - 1
_UNFIT: Final = (LookupError, TypeError, ValueError, state.StateError)

logger = logging.getLogger(__name__)


def nearest_playback(
    spool: Path, mark: int, listener: Listener, on_rest: RestHandler | None = None
) -> Playback:
    """Return a playback that begins at the newest state not beyond a position, or at the first record.

    `on_rest` is told of the instruments that the state knows.
    """
    for begin in _beginnings(spool, None, mark):
        try:
            playback = Playback(spool, listener, on_rest, begin.part("playback"))
            _, instruments = begin.part("columns")
        except _UNFIT as error:
            state.warn_unused(spool, begin.segment, error)
            continue
        if on_rest is not None:
            for category, _, raw in instruments:
                body = {"result": {"list": [orjson.loads(raw)]}}
                said = {"path": INSTRUMENTS_PATH, "category": category, "body": body}
                on_rest(said, begin.recv_ns, begin.position)
        return playback
    return Playback(spool, listener, on_rest)


def _beginnings(spool: Path, recorder: str | None, mark: int) -> Iterator[State]:
    """States to read on from up to a position, the best first.

    What a state of another version of the decoder knows may differ from what this one would; it is still
    better than to begin in the middle, where segments before are gone.
    """
    gone = max((one.last_segment for one in read_gone(spool) if one.first_segment <= mark >> 32), default=0)
    for begin in state.usable(spool, recorder, DECODER_VERSION, mark):
        if begin.segment >= gone:
            yield begin
    if gone:
        for begin in state.usable(spool, recorder, None, mark):
            logger.warning(
                "segments up to %d are gone: what version %s of the decoder knew after segment %d is used",
                gone,
                begin.decoder_version,
                begin.segment,
            )
            yield begin


class Decoding:
    """One recorder's spool, read into `columns`. For one thread.

    Args:
        spool: folder of the spool.
        recorder: the name in every row.
        begin: the state to go on from; from the first record if not given.
        writes_whole: books with their next delta, instruments when told next, as the database has none.

    Raises:
        ValueError: the state is not what this version saves.
    """

    def __init__(
        self, spool: Path, recorder: str, begin: State | None = None, *, writes_whole: bool = False
    ) -> None:
        self.spool = spool
        self.recorder = recorder
        self.columns = Columns(recorder, schema())
        self._instruments = InstrumentRows()
        remembered = None
        if begin is not None:
            remembered = begin.part("playback")
            columns, instruments = begin.part("columns")
            _, tickers = columns
            restore_columns(self.columns, ([], tickers) if writes_whole else columns)
            if not writes_whole:
                self._instruments.restore(instruments)
        self.playback = Playback(spool, self.columns, self._take_rest, remembered)

    @classmethod
    def nearest(cls, spool: Path, recorder: str, mark: int) -> "Decoding":
        """Return one that begins at the newest state not beyond a position, or at the first record.

        `run_to` reads on from there.
        """
        for begin in _beginnings(spool, recorder, mark):
            try:
                return cls(spool, recorder, begin)
            except _UNFIT as error:
                state.warn_unused(spool, begin.segment, error)
        return cls(spool, recorder)

    @classmethod
    def after_expired(cls, spool: Path, recorder: str, mark: int) -> "Decoding | None":
        """Return one for a database that lacks what expired: from the first state after that on.

        Without a state books would wait for their next snapshot, maybe for days. None where nothing is
        lacking beyond ``mark``, or there is no such state.
        """
        lacking = beyond(read_gone(spool), mark)
        if not lacking:
            return None
        for version in (DECODER_VERSION, None):
            for begin in reversed(list(state.usable(spool, recorder, version, POSITION_MAX))):
                if begin.segment < lacking[-1].last_segment:
                    continue
                try:
                    return cls(spool, recorder, begin, writes_whole=True)
                except _UNFIT as error:
                    state.warn_unused(spool, begin.segment, error)
        return None

    def tell_lacking(self, mark: int) -> None:
        """Make rows of what is between ``mark`` and where this begins, and will never be in the database."""
        lacking = beyond(read_gone(self.spool), mark)[0]
        position, recv_ns = self.playback.position, self.playback.recv_ns
        reached = f"segments {lacking.first_segment} to {position >> 32} are not in this database"
        detail = f"{reached}: they have expired, or books were not known in them"
        ledger.tell_event(self.columns, "expired", detail, recv_ns, position)
        loss = ledger.missed(lacking.first_recv_ns, recv_ns, "own_drop", detail)
        ledger.tell_missed(self.columns, self.playback.wanted, loss, position)

    @classmethod
    def before(cls, spool: Path, recorder: str, segment: int) -> "Decoding":
        """Return one that has read, and made no rows of, all that comes before a segment."""
        decoding = cls.nearest(spool, recorder, segment << 32)
        decoding.run_to(segment << 32)
        return decoding

    def run_to(self, mark: int, *, stay: bool = False) -> bool:
        """Read up to a position and make no rows of it.

        Args:
            mark: position not to go beyond.
            stay: return True at the end of each segment before that; the next call goes on.
        """
        taken = self.playback.run(1, until=mark)
        while taken:
            self.columns.clear()
            taken = self.playback.run(RUN_RECORDS, until=mark, stay=stay)
        self.columns.clear()
        return stay and self.playback.at_seam and self.playback.position < mark

    def state(self) -> State:
        """Return what is known now: after the last record of a segment, or wherever it is to be gone on from.

        Raises:
            ValueError: rows are waiting in `columns`.
        """
        position = self.playback.position
        values = {
            "playback": self.playback.state(),
            "columns": (columns_state(self.columns), self._instruments.state()),
        }
        return State.of(
            self.recorder, position >> 32, position, self.playback.recv_ns, DECODER_VERSION, values
        )

    def close(self) -> None:
        """Let the files go."""
        self.playback.close()

    def _take_rest(self, payload: dict[str, Any], recv_ns: int, position: int) -> None:
        self._instruments.append(self.columns, payload, recv_ns, position)
