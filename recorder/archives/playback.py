"""Runs an archive file through a dispatcher, line by line, as `recorder.playback` does with a spool."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any, Final

import orjson

from engine.bybit.rules import CONTINUITY
from ext.book import BookState
from ext.dispatch import Dispatcher
from ext.listener import Listener
from recorder import ledger
from recorder.archives.archive import Archive
from recorder.archives.lines import BadLineError, BookMessage, Line, Trade
from recorder.archives.names import period_of
from recorder.archives.unpacking import Lines

__all__ = ["BEGUN", "FINISHED", "ArchivePlayback", "KnownTrades"]

KnownTrades = Callable[[Sequence[Trade]], Collection[Trade]]

BLOCK_LINES: Final = 4096
BLOCK_BYTES: Final = 8 << 20
CLOSING_NS: Final = 60 * 10**9
ALL_LEGS: Final = -1
BEGUN: Final = "import_begun"
FINISHED: Final = "import_finished"


class ArchivePlayback:
    """The lines of an archive, in order, as calls of a Listener. One pass, one thread.

    A position is the number of a line, from 1. What the file says badly is told as the websocket's bad frames
    are: an event, and a gap where something is missing.

    Args:
        archive: the file, examined.
        listener: called as it would have been live, with the time of each line for its receive time.

    Attributes:
        position: of the line read last.
        recv_ns: its time.
        counts: lines and messages by what became of them, see `notes`.
    """

    def __init__(self, archive: Archive, listener: Listener) -> None:
        self.position = 0
        self.recv_ns = archive.first_ns
        self.counts: Counter[str] = Counter()
        self._archive = archive
        self._listener = listener
        self._dispatcher = Dispatcher(archive.category, listener, rules=CONTINUITY.get(archive.category))
        self._format = archive.format()
        self._lines = Lines(archive.path)
        self._numbered = enumerate(self._lines, 1)
        self._first_ns, self._end_ns = period_of(archive.hints.period)
        if archive.is_of_books:  # the book of the day's end comes with the next message
            self._end_ns += CLOSING_NS

    @property
    def frames(self) -> int:
        """Frames dispatched so far."""
        return self.counts["frames"]

    @property
    def trades(self) -> int:
        """Trades so far, those left out too."""
        return self.counts["trades"] - self._dispatcher.counters["malformed"]

    @property
    def bad_lines(self) -> int:
        """Lines so far that were no frame or row."""
        return self.counts["bad lines"] + self._dispatcher.counters["malformed"]

    @property
    def read_bytes(self) -> int:
        """Bytes of the file that were read so far."""
        return self._lines.read_bytes

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of its content that were read so far."""
        return self._lines.unpacked_bytes

    def run(self, until: int, known: KnownTrades | None = None) -> bool:
        """Obey a block of lines; False where there are no more.

        Args:
            until: position not to go beyond.
            known: which of these trades are to be left out.

        Raises:
            ArchiveError: the file changed since it was examined, and is damaged.
        """
        block: list[tuple[int, Line | None, str]] = []
        size = 0
        for number, text in islice(self._numbered, max(0, min(BLOCK_LINES, until - self.position))):
            block.append((number, *self._read(text)))
            size += len(text)
            if size >= BLOCK_BYTES:
                break
        left_out = _left_out(block, known) if known is not None else ()
        for number, line, problem in block:
            self.position = number
            if problem:
                self._refuse(problem)
            elif line is not None:
                self._feed(line, is_known=line.trade in left_out)
        if block and self.position == self._archive.lines:
            self._finish()
        return bool(block)

    def notes(self) -> list[str]:
        """What a reader of the result should know, one sentence each."""
        named = self._archive.hints
        told = [
            f"{count} {what}" for what, count in sorted(self.counts.items()) if what not in _PLAIN and count
        ]
        if named.symbol and named.symbol != self._archive.own_symbol:
            told.append(f"the name says {named.symbol}, the content {self._archive.own_symbol}")
        folder = named.folder_symbol
        if folder.startswith(self._archive.symbol[:3]) and folder != self._archive.symbol and named.symbol:
            told.append(
                f"its folder says {folder}: was it renamed? --symbol {folder} imports it under that name"
            )
        return told

    def close(self) -> None:
        """Let the file go."""
        self._lines.close()

    def _read(self, text: bytes) -> tuple[Line | None, str]:
        try:
            return self._format.read(text), ""
        except BadLineError as error:
            return None, str(error)

    def _feed(self, line: Line, *, is_known: bool) -> None:
        self._go_on(line.recv_ns)
        self._remark(line)
        self.counts["trades"] += line.trade is not None
        if is_known:
            return
        if line.book is None or not self._is_repeat(line, line.book):
            self.counts["frames"] += 1
            self._dispatcher.feed(line.frame, line.recv_ns, 0, self.position)

    def _is_repeat(self, line: Line, message: BookMessage) -> bool:
        """Whether this snapshot came before, as at the seam of two days that were put into one file."""
        book = self._dispatcher.book(line.symbol, message.depth)
        if book is None and not message.update_id:
            self._lose(message.topic, "snapshot", "the archive begins without a snapshot")
        if book is None or book.state != BookState.LIVE or not message.update_id:
            return False
        is_repeat = (message.update_id, message.seq) == (book.update_id, book.seq)
        self.counts["repeated snapshots"] += is_repeat
        return is_repeat

    def _remark(self, line: Line) -> None:
        """Count what is not of the time, symbol or depth that the file's name says, or is not said at all."""
        if not self._first_ns <= line.recv_ns < self._end_ns:
            self.counts["lines of another time than the name says"] += 1
        if line.symbol != self._archive.symbol:
            self.counts["lines of another symbol"] += 1
        if line.book is not None and not line.book.has_cts:
            self.counts["messages without cts: their ts stands for it"] += 1
        if line.book is not None and self._archive.hints.depth not in (0, line.book.depth):
            self.counts["lines of another depth than the name says"] += 1

    def _refuse(self, problem: str) -> None:
        """A line that says nothing: an event. Trades have no counter: a gap until the next one."""
        self._go_on(self.recv_ns)
        self.counts["bad lines"] += 1
        detail = f"line {self.position}: {problem}"
        self._dispatcher.noted("malformed", "", detail, self.recv_ns, 0, self.position)
        if not self._archive.is_of_books:
            self._lose(f"publicTrade.{self._archive.symbol}", "malformed", detail)

    def _lose(self, topic: str, cause: str, detail: str) -> None:
        recv_ns = self.recv_ns
        self._dispatcher.lost([topic], recv_ns, recv_ns, cause, "venue", ALL_LEGS, self.position, detail)

    def _go_on(self, recv_ns: int) -> None:
        """Come to a line; before the first one stands the note of what begins."""
        self.recv_ns = recv_ns
        if not self.counts["begun"]:
            self.counts["begun"] = 1
            self._note(BEGUN, self._archive.described())

    def _finish(self) -> None:
        """After the last line: nothing can come any more to end a gap, and the note that this is all."""
        unended = [gap.topic for gap in self._dispatcher.open_gaps()]
        if unended:
            self._dispatcher.removed(unended, self.recv_ns, 0, self.position)
        self._note(FINISHED, self._archive.described() | {"lines": self.position, "bad": self.bad_lines})

    def _note(self, kind: str, detail: dict[str, Any]) -> None:
        text = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode()
        ledger.tell_event(self._listener, kind, text, self.recv_ns, self.position)


_PLAIN: Final = ("frames", "begun", "bad lines", "trades")


def _left_out(block: list[tuple[int, Line | None, str]], known: KnownTrades) -> Collection[Trade]:
    trades = [line.trade for _, line, _ in block if line is not None and line.trade is not None]
    return known(trades) if trades else ()
