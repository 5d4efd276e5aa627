"""The folder of a recording: what lies where in it."""

import json
import logging
from pathlib import Path
from typing import Any, Final

from engine.errors import UsageError
from ext.journal import Record, RecordKind
from recorder.spool.durable import put
from recorder.spool.reader import SpoolReader
from recorder.spool.segments import first_payload

__all__ = ["POISON_FOLDER", "DataFolder"]

POISON_FOLDER: Final = "poison"

logger = logging.getLogger(__name__)


class DataFolder:
    """Paths of one recording, and the files in which its processes say each second how they are.

    DIR/lock                  held by the supervisor that records here
    DIR/takeover.lock         held by the one that is taking over
    DIR/spool/                what was recorded (docs/spool.md); of further shards DIR/spool-1/ ...
    DIR/clickhouse/           the embedded database
    DIR/poison/               batches that were set aside
    DIR/database.url          the server that is recorded into, where it is not the embedded database
    DIR/again.json            what is to be loaded anew, until it is (`recorder.loading.again`)
    DIR/control.sock          where a recording that runs is asked for changes
    DIR/PROCESS.status.json   what a process last said of itself
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / "spool"
        self.database = path / "clickhouse"
        self.control = path / "control.sock"
        self.wish = path / "again.json"
        self.server_file = path / "database.url"
        self._is_untold = False

    def spool_of(self, shard: int) -> Path:
        """Return the spool of a shard (`recorder.shards`)."""
        return self.path / f"spool-{shard}" if shard else self.spool

    @property
    def server(self) -> str:
        """URL of the server that is recorded into; "" where the database is embedded."""
        try:
            return self.server_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def set_server(self, url: str) -> None:
        """Note which server is recorded into, or with "" that none is. Raises OSError."""
        if url:
            put(self.server_file, url.encode())
        else:
            self.server_file.unlink(missing_ok=True)

    def existing(self) -> "DataFolder":
        """Return self. Raises UsageError unless something was recorded here."""
        if not self.spool.is_dir():
            problem = f"{self.path} holds no recording: there is no folder {self.spool}"
            raise UsageError(
                problem, "give the folder of `tapehead record --data DIR`, or try `tapehead demo`"
            )
        return self

    def recorder(self, shard: int = 0) -> str:
        """Return the name of the recorder that wrote the spool of a shard."""
        with SpoolReader(self.spool_of(shard)) as reader:
            while (item := reader.poll()) is not None:
                if isinstance(item, Record) and item.kind == RecordKind.SEGMENT:
                    return str(first_payload(item)["recorder"])
        raise UsageError(f"the spool {self.spool_of(shard)} holds nothing yet", "record into it first")

    def read_status(self, process: str) -> dict[str, Any]:
        """Return what a process last said of itself; empty before it said anything."""
        try:
            status: dict[str, Any] = json.loads(self._status_path(process).read_bytes())
        except FileNotFoundError:
            return {}
        return status

    def write_status(self, process: str, status: dict[str, Any]) -> None:
        """Replace what a process says of itself, whole or not at all; a full disk is logged, and no error."""
        path = self._status_path(process)
        fresh = path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(status), encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            if not self._is_untold:
                logger.warning("%s is not up to date: %s", path, error)
            self._is_untold = True
        else:
            self._is_untold = False

    def clear_status(self, process: str) -> None:
        """Forget what an earlier process said of itself."""
        self._status_path(process).unlink(missing_ok=True)

    def _status_path(self, process: str) -> Path:
        return self.path / f"{process}.status.json"
