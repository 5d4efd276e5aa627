"""Ours with the journal before the dispatcher: each receive batch is written to a segment file first."""

import time
from pathlib import Path

from benchmarks.receivers.tapehead import Tapehead
from ext.journal import Journal
from recorder.spool.writer import Spool


class TapeheadJournal(Tapehead):
    title = "tapehead + journal"

    def journal(self, folder: Path) -> Journal:
        self.spool = Spool(folder / "spool", "benchmark", now=lambda: (time.time_ns(), time.monotonic_ns()))
        return self.spool.journal

    def close(self) -> None:
        self.spool.close()


IMPLEMENTATION = TapeheadJournal
