"""One client for the places a database may be: embedded (chDB, a folder) and a server (HTTP).

A `Database` belongs to one thread. Embedded, one process has the folder; its further threads take a `reader`.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from engine.errors import PeerError, UsageError
from ext.block import Block
from recorder.database.migrations import examine, settled, upgrade
from recorder.database.schema import Layout, create_database, on_cluster
from recorder.database.upload import Upload
from recorder.database.url import CA_VARIABLE, PASSWORD_VARIABLE, USER_VARIABLE, address, is_server
from recorder.spool.lock import FolderLock

__all__ = ["Database", "DatabaseError", "FolderError", "open_database", "open_embedded", "open_server"]

DATABASE_DEFAULT: Final = "tapehead"

CODE_ACCESS_DENIED: Final = 497
SERVER_OLDEST: Final = (24, 3)

MEMORY_BYTES_MAX: Final = 3 << 30
CACHE_BYTES_MAX: Final = 256 << 20
INSERT_ROWS_MAX: Final = 1 << 26
TIMEOUT_S: Final = 300
CONNECT_TIMEOUT_S: Final = 10  # to connect, and to get rid of a piece of what is sent

_ENGINE_CONFIG: Final = f"""<clickhouse>
    <max_server_memory_usage>{MEMORY_BYTES_MAX}</max_server_memory_usage>
    <mark_cache_size>{CACHE_BYTES_MAX}</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_schedule_pool_size>2</background_schedule_pool_size>
    <merge_tree>
        <fsync_after_insert>1</fsync_after_insert>
        <fsync_part_directory>1</fsync_part_directory>
        <!-- Beyond so many old parts 128 threads would remove them, and stay. -->
        <concurrent_part_removal_threshold>1000000</concurrent_part_removal_threshold>
    </merge_tree>
</clickhouse>
"""
_INSERT_SETTINGS: Final = {
    # One block becomes one part a partition: an insert is there as a whole or not at all.
    "max_insert_block_size": INSERT_ROWS_MAX,
    "max_insert_threads": 1,
    "async_insert": 0,
    # A column that the table lacks, or has as another type, is an error: by default it would be left out.
    "input_format_skip_unknown_fields": 0,
    "input_format_native_allow_types_conversion": 0,
    # Of a cluster: an insert has come back only when each shard has its rows.
    "distributed_foreground_insert": 1,
}
# What a folder may hold whose first opening was cut short.
_FOLDER_NAMES: Final = frozenset(("lock", "tmp", "config.xml", "engine.new", "data"))
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class DatabaseError(PeerError):
    """The database refused or did not answer; ``code`` is ClickHouse's, 0 where there was none."""

    def __init__(self, problem: str, code: int = 0, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.code = code


class FolderError(UsageError):
    """A database folder that cannot be used: none, or made by a newer engine."""


class Database:
    """A connection that inserts, queries and runs statements; for one thread at a time."""

    def __init__(
        self,
        client: Client,
        name: str,
        place: str,
        folder: "_Folder | None" = None,
        *,
        is_reader: bool = False,
    ) -> None:
        self._client = client
        self._folder = folder
        self._is_reader = is_reader
        self.name = name
        self.place = place

    @property
    def is_embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._folder is not None

    @property
    def version(self) -> str:
        """The engine's version."""
        return str(self._client.server_version)

    def create_schema(self, layout: Layout | None = None) -> list[str]:
        """Create what is missing, migrate what is older; returns what was done, nothing where all is right.

        Args:
            layout: of tables that are made now; plain ones if not given.

        Raises:
            SchemaError: a newer tapehead made it, or it lies otherwise. Nothing was changed.
            DatabaseError: it refused; what was done is done, and may be run again.
        """
        try:
            return upgrade(self, layout or Layout(self.name))
        except DatabaseError as error:
            if error.code != CODE_ACCESS_DENIED:
                raise
            remedy = "run `tapehead schema --apply` as a user who may change tables"
            raise DatabaseError(error.problem, error.code, remedy) from None

    def delete(self, table: str, condition: str) -> None:
        """Delete the rows for which the condition holds, on all shards; returns once they are gone."""
        layout = settled(examine(self), Layout(self.name))
        self.command(
            on_cluster(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2", layout)
        )

    def insert(self, table: str, block: bytes | Block, token: str) -> None:
        """Insert one Native block. The same token again inserts nothing, within the window of the table.

        Args:
            table: its name.
            block: the rows.
            token: "" for an insert that is always done.

        Raises:
            DatabaseError: it may or may not have been inserted; insert again with the same block and token.
        """
        deduplication = {"insert_deduplication_token": token} if token else {"deduplicate_insert": "disable"}
        # A memoryview it takes, in spite of its annotation, and does not copy.
        buffer: Any = memoryview(block) if self.is_embedded else Upload(block)
        # With its length told, a body that was cut off can never be taken for a shorter one.
        headers = {} if self.is_embedded else {"Content-Length": str(len(block))}
        try:
            self._client.raw_insert(
                table,
                insert_block=buffer,
                settings={**_INSERT_SETTINGS, **deduplication},
                fmt="Native",
                transport_settings=headers,
            )
        except (DriverError, OSError) as error:
            raise _as_database_error(error, f"insert into {table}") from error

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query; returns its rows.

        Args:
            sql: with `{name:Type}` in place of the parameters.
            parameters: their values.
        """
        try:
            rows: Sequence[Sequence[Any]] = self._client.query(sql, parameters=parameters).result_rows
        except (DriverError, OSError) as error:
            self._discard_answer()
            raise _as_database_error(error, "query") from error
        return [tuple(row) for row in rows]

    def raw_query(self, sql: str, parameters: dict[str, Any] | None = None, fmt: str | None = None) -> bytes:
        """Run a query; returns the bytes of its output format."""
        try:
            return self._client.raw_query(sql, parameters=parameters, fmt=fmt)
        except (DriverError, OSError) as error:
            self._discard_answer()
            raise _as_database_error(error, "query") from error

    def command(self, sql: str) -> None:
        """Run a statement that returns nothing."""
        try:
            self._client.command(sql)
        except (DriverError, OSError) as error:
            raise _as_database_error(error, "statement") from error

    def reader(self, settings: dict[str, Any] | None = None) -> "Database":
        """A read-only connection for another thread of this process, to be closed before this one.

        Args:
            settings: ClickHouse settings, fixed for its life.
        """
        if self._folder is None:
            raise UsageError("a reader was asked of a server connection", "open a connection of its own")
        reader = Database(self._folder.connect(), self.name, self.place, self._folder, is_reader=True)
        reader.command(f"USE {self.name}")
        for name, value in {**(settings or {}), "readonly": 1}.items():
            reader.command(f"SET {name} = {value}")
        return reader

    def _discard_answer(self) -> None:
        # What a query had written before it failed, the embedded engine hands to the next one.
        if self.is_embedded:
            with suppress(DriverError, OSError):  # then it has written nothing that could be handed on
                self._client.raw_query("SELECT 1", fmt="TabSeparated")

    def close(self) -> None:
        """Close the connection and, unless this is a reader, let the folder go."""
        self._client.close()
        if self._folder is not None and not self._is_reader:
            self._folder.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(place: str | Path, name: str = DATABASE_DEFAULT) -> Database:
    """Open a database by its place: an http(s) URL is a server, anything else an embedded one's folder."""
    if is_server(place):
        return open_server(str(place), name)
    return open_embedded(Path(place), name)


def open_embedded(folder: Path, name: str = DATABASE_DEFAULT) -> Database:
    """Open, or create, an embedded database in a folder. One process at a time may have it.

    Raises:
        FolderInUseError: another process has it.
        FolderError: it was written by a newer engine, or holds something else.
        DatabaseError: the engine does not start.
    """
    import chdb  # takes most of a second, and a server needs none of it

    _check_name(name)
    room = _Folder(folder)
    try:
        room.stamp(str(chdb.engine_version))
        database = Database(room.connect(), name, str(folder), room)
        database.command(f"CREATE DATABASE IF NOT EXISTS {name}")
        database.command(f"USE {name}")
    except BaseException:
        room.release()
        raise
    return database


def open_server(
    url: str, name: str = DATABASE_DEFAULT, *, create: bool = True, layout: Layout | None = None
) -> Database:
    """Connect to a ClickHouse server by its HTTP(S) URL.

    User, password and the file of an authority's certificate come from the environment
    (TAPEHEAD_CLICKHOUSE_USER, _PASSWORD, _CA). Certificates are always checked.

    Args:
        url: ``https://HOST:PORT``, or ``http://`` on loopback.
        create: the database if it is not there yet.
        layout: says on which cluster it is created.

    Raises:
        UsageError: the URL cannot be.
        DatabaseError: it does not answer, or refuses.
    """
    _check_name(name)
    scheme, host, port = address(url)
    try:
        client = clickhouse_connect.get_client(
            host=host,
            port=port,
            interface=scheme,
            username=os.environ.get(USER_VARIABLE, "default"),
            password=os.environ.get(PASSWORD_VARIABLE, ""),
            ca_cert=os.environ.get(CA_VARIABLE) or None,
            autogenerate_session_id=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=TIMEOUT_S,
        )
    except (DriverError, OSError) as error:
        raise _as_database_error(error, f"connecting to {url}") from error
    database = Database(client, name, url)
    if _release(database.version) < SERVER_OLDEST:
        client.close()
        oldest = ".".join(map(str, SERVER_OLDEST))
        raise UsageError(
            f"{url} is ClickHouse {database.version}, {oldest} is the oldest", "upgrade the server"
        )
    if create and not database.query(
        "SELECT 1 FROM system.databases WHERE name = {name:String}", {"name": name}
    ):
        database.command(create_database(layout or Layout(name)))
    client.database = name
    return database


def _check_name(name: str) -> None:
    if not _NAME.match(name) or name == "default":
        raise UsageError(f"database name was {name!r}", "use letters, digits and _, and not 'default'")


def _as_database_error(error: Exception, doing: str) -> DatabaseError:
    text = str(error).strip().split(" (version ")[0]
    return DatabaseError(f"{doing} failed: {text}", int(getattr(error, "code", 0) or 0))


class _Folder:
    """The folder of an embedded database: its lock, its engine's version, its configuration.

    FOLDER/lock        held by the one process that has it
    FOLDER/engine      version of the engine that wrote it last
    FOLDER/config.xml  what the engine is started with
    FOLDER/data/       the engine's own
    FOLDER/tmp/        for TMPDIR of that process: blocks on their way in
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.absolute()
        self._refuse_foreign()
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "tmp").mkdir(exist_ok=True)
        self._lock = FolderLock(self.path)

    def _refuse_foreign(self) -> None:
        if self.path.is_dir() and not (self.path / "engine").exists():
            others = sorted(entry.name for entry in self.path.iterdir() if entry.name not in _FOLDER_NAMES)
            if others:
                raise FolderError(
                    f"{self.path} is no database folder of tapehead: it holds {others[0]!r}",
                    "give another folder, or move that away",
                )

    def connect(self) -> Client:
        config = self.path / "config.xml"
        config.write_text(_ENGINE_CONFIG)
        try:
            return clickhouse_connect.get_client(
                interface="chdb", path=str(self.path / "data"), chdb_options={"config-file": str(config)}
            )
        except DriverError as error:
            raise _as_database_error(error, f"opening the database folder {self.path}") from error

    def stamp(self, version: str) -> None:
        """Refuse the folder if a newer engine wrote it; else note that this one does now."""
        stamp = self.path / "engine"
        written_by = stamp.read_text().strip() if stamp.exists() else ""
        if _release(written_by) > _release(version):
            raise FolderError(
                f"database folder {self.path} was written by ClickHouse {written_by}, this is {version}",
                "install a chdb at least as new, or build the database again from the spool elsewhere",
            )
        if version != written_by:
            fresh = self.path / "engine.new"
            fresh.write_text(version + "\n")
            fresh.replace(stamp)

    def release(self) -> None:
        self._lock.release()


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
