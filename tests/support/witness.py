"""A capture process whose listener tells a pipe of each message that it is called with.

Run as ``python -m tests.support.witness capture`` by a Supervisor; TAPEHEAD_WITNESS names the pipe.
"""

import os
import sys

from ext.book import OrderBook
from ext.listener import Listener, Trade
from recorder.recording import capture, processes
from recorder.recording.processes import Handover, Tell

VARIABLE = "TAPEHEAD_WITNESS"


class Witness(Listener):
    """Writes ``<topic> <u or trade id>`` and a newline; a write of less than PIPE_BUF is whole."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def on_book(self, book: OrderBook) -> None:
        os.write(self._pipe, f"orderbook.{book.depth}.{book.symbol} {book.update_id}\n".encode())

    def on_trade(self, trade: Trade) -> None:
        os.write(self._pipe, f"publicTrade.{trade.symbol} {trade.trade_id}\n".encode())


def run(given: Handover, tell: Tell) -> int:
    pipe = os.open(os.environ[VARIABLE], os.O_WRONLY)
    recording = capture.Capture(given.config, Witness(pipe), shard=given.shard, former=given.former)
    capture.run(recording, tell, is_resumed=given.is_resumed)
    return 0


if __name__ == "__main__":
    sys.exit(processes.serve(sys.argv[1], run))
