"""SQL to a recording: to the recorder while it runs, else to the embedded database of its folder."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import UsageError
from recorder.clickhouse import DatabaseError, open_embedded
from recorder.folder import DataFolder
from recorder.query import read_address

__all__ = ["Answer", "ask", "ask_raw"]

TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows and the names of their columns."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


def ask(folder: DataFolder, sql: str) -> Answer:
    """Return the rows of one statement. Raises DatabaseError, UsageError."""
    answer = json.loads(ask_raw(folder, sql, "JSONCompact"))
    return Answer(tuple(column["name"] for column in answer["meta"]), answer["data"])


def ask_raw(folder: DataFolder, sql: str, output_format: str) -> bytes:
    """Return the answer in an output format of ClickHouse. Raises DatabaseError, UsageError."""
    address = read_address(folder.path)
    if address is not None:
        try:
            return _ask_recorder(address, sql, output_format)
        except ConnectionRefusedError:
            pass  # the address outlived a recorder that was killed
    if not folder.existing().database.is_dir():
        raise UsageError(f"{folder.path} has no database yet", "record into it, so that its loader makes one")
    with open_embedded(folder.database) as database:
        reader = database.reader()
        try:
            return reader.raw_query(sql, fmt=output_format)
        finally:
            reader.close()


def _ask_recorder(address: str, sql: str, output_format: str) -> bytes:
    query = urllib.parse.urlencode({"default_format": output_format})
    request = urllib.request.Request(f"{address}/?{query}", data=sql.encode(), method="POST")  # noqa: S310 (loopback)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 (as above)
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        code = int(error.headers.get("X-ClickHouse-Exception-Code") or 0)
        raise DatabaseError(error.read().decode(errors="replace").strip(), code) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, OSError):
            raise error.reason from None
        raise
