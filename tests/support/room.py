"""Waiting for a spool that refused to have room again."""

import logging
import threading
from typing import Self

import recorder.spool.writer
from recorder.spool.writer import Spool

TIMEOUT_S = 20.0


class Room(logging.Handler):
    """Hears from the spool's own thread that there is room again."""

    def __init__(self) -> None:
        super().__init__()
        self._told = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "has room again" in record.msg:
            self._told.set()

    def wait(self, spool: Spool) -> None:
        while spool.failure is not None:
            assert self._told.wait(TIMEOUT_S), f"no room again within {TIMEOUT_S} s"
            self._told.clear()

    def __enter__(self) -> Self:
        logging.getLogger(recorder.spool.writer.__name__).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(recorder.spool.writer.__name__).removeHandler(self)
