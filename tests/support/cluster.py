"""A cluster of one shard within the embedded engine: Distributed tables that are inserted into and asked.

The engine executes no ON CLUSTER: that clause is taken out. Replicated tables it creates, with what a Keeper
keeps in memory, but they stay read-only: where rows are wanted, the engine of local tables is swapped.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ext.block import Block
from recorder.database import clickhouse
from recorder.database.clickhouse import Database, open_embedded
from recorder.database.migrations import upgrade
from recorder.database.schema import REPLICATED_ENGINE, Layout

CLUSTER = "market"
LAYOUT = Layout(cluster=CLUSTER)
_ON_CLUSTER = re.compile(rf" ON CLUSTER {CLUSTER}\b")
_SETTINGS = f"""
    <tcp_port>9000</tcp_port>
    <zookeeper><implementation>testkeeper</implementation></zookeeper>
    <macros><shard>1</shard><replica>a</replica></macros>
    <remote_servers><{CLUSTER}><shard><internal_replication>true</internal_replication>
        <replica><host>127.0.0.1</host><port>9000</port></replica>
    </shard></{CLUSTER}></remote_servers>
</clickhouse>
"""


class ClusterDatabase:
    """A `Database` on that cluster."""

    def __init__(self, database: Database, *, is_replicated: bool) -> None:
        self._database = database
        self.name = database.name
        self.query = database.query
        self.is_embedded = True
        self._is_replicated = is_replicated

    def command(self, sql: str) -> None:
        sql = _ON_CLUSTER.sub("", sql)
        self._database.command(sql if self._is_replicated else sql.replace(REPLICATED_ENGINE, "MergeTree"))

    def insert(self, table: str, block: bytes | Block, token: str) -> None:
        self._database.insert(table, block, token)

    def delete(self, table: str, condition: str) -> None:
        Database.delete(self, table, condition)  # type: ignore[arg-type]  # what it uses is here

    def create_schema(self) -> list[str]:
        return upgrade(self, LAYOUT)


@contextmanager
def cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_replicated: bool = False
) -> Iterator[ClusterDatabase]:
    """An embedded database of that cluster, with nothing in it."""
    config = clickhouse._ENGINE_CONFIG.replace("</clickhouse>", _SETTINGS)
    monkeypatch.setattr(clickhouse, "_ENGINE_CONFIG", config)
    with open_embedded(folder) as database:
        yield ClusterDatabase(database, is_replicated=is_replicated)
