"""The schema as statements for a place: embedded, a server, or a cluster; with retention and tiers.

On a cluster each table NAME is a Distributed one over NAME_local on every shard: whoever inserts or asks
uses the same names in all three places.
"""

import re
from dataclasses import dataclass
from typing import Final

from recorder.sql import TABLES, VERSION_TABLE, VIEWS, columns, statement

__all__ = [
    "DISTRIBUTED_TABLES",
    "RETAINED",
    "Layout",
    "create_database",
    "distributed",
    "local_name",
    "on_cluster",
    "sharding_key",
    "tables",
    "views",
]

DISTRIBUTED_TABLES: Final = (*TABLES, VERSION_TABLE)
# What a TTL deletes. The ledger, the instruments and the commit marks are small, and are kept for ever.
RETAINED: Final = tuple(name for name in TABLES if name not in ("gap", "event", "instrument", "load_batch"))

# As long as a batch may be tried again: the default of an hour is shorter than an outage.
REPLICATED_SETTINGS: Final = {
    "replicated_deduplication_window": "1000",
    "replicated_deduplication_window_seconds": str(30 * 86_400),
}
REPLICATED_ENGINE: Final = "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"

_SYMBOL_OF_TOPIC: Final = "arrayElement(splitByChar('.', topic), -1)"
_SHARDED_BY: Final = {
    "gap": f"cityHash64(category, {_SYMBOL_OF_TOPIC})",
    "event": f"cityHash64(category, {_SYMBOL_OF_TOPIC})",
    "load_batch": "cityHash64(recorder, 0)",
    VERSION_TABLE: "cityHash64(name, 0)",
}
_CREATED: Final = re.compile(r"^(CREATE (?:TABLE IF NOT EXISTS|OR REPLACE VIEW)) (\w+)", re.MULTILINE)
_ALTERED: Final = re.compile(r"^ALTER TABLE (\w+)")
_ASKED: Final = re.compile(rf"\b(FROM|JOIN) ({'|'.join((*TABLES, *VIEWS))})\b")


@dataclass(frozen=True)
class Layout:
    """How the tables lie.

    Args:
        database: its name.
        cluster: of the server's configuration; "" for one server, or embedded.
        ttl_days: after so many days rows of the market are deleted, whole parts at a time; 0 never.
        volume, move_days: after so many days parts move to this volume of the policy; "" never.
        policy: the storage policy; "" the server's default.
    """

    database: str = "tapehead"
    cluster: str = ""
    ttl_days: int = 0
    volume: str = ""
    move_days: int = 0
    policy: str = ""

    def ttl(self, table: str) -> str:
        """Return the TTL expressions of a table; "" where nothing ends."""
        if table not in RETAINED:
            return ""
        rules = []
        if self.ttl_days:
            rules.append(f"toDateTime(recv) + toIntervalDay({self.ttl_days})")
        if self.volume:
            rules.append(f"toDateTime(recv) + toIntervalDay({self.move_days}) TO VOLUME '{self.volume}'")
        return ", ".join(rules)

    def settings(self, table: str) -> dict[str, str]:
        """Return what the layout adds to the settings in a table's file."""
        added = dict(REPLICATED_SETTINGS) if self.cluster else {}
        if self.ttl(table) and self.ttl_days:
            added["ttl_only_drop_parts"] = "1"
        if self.policy and table in RETAINED:
            added["storage_policy"] = f"'{self.policy}'"
        return added


def create_database(layout: Layout) -> str:
    """Return the statement that makes the database."""
    return f"CREATE DATABASE IF NOT EXISTS {layout.database}{_clause(layout)}"


def local_name(table: str, layout: Layout) -> str:
    """Return the name of the table that holds the rows."""
    return f"{table}_local" if layout.cluster else table


def tables(layout: Layout) -> list[str]:
    """Return the statements that create what is not there yet, in order."""
    made = [_local(name, layout) for name in DISTRIBUTED_TABLES]
    return made + distributed(layout)


def distributed(layout: Layout, *, replace: bool = False) -> list[str]:
    """Return the statements of the Distributed tables; none where there is no cluster.

    Args:
        replace: those that are there, to have the columns of the local ones.
    """
    if not layout.cluster:
        return []
    create = "CREATE OR REPLACE TABLE" if replace else "CREATE TABLE IF NOT EXISTS"
    return [
        f"{create} {layout.database}.{name} ON CLUSTER {layout.cluster} AS {layout.database}.{name}_local\n"
        f"ENGINE = Distributed('{layout.cluster}', '{layout.database}', '{name}_local', {sharding_key(name)})"
        for name in DISTRIBUTED_TABLES
    ]


def sharding_key(table: str) -> str:
    """Return the expression that chooses the shard of a row: all of a symbol lies on one."""
    named = {name for name, _ in columns(table)}
    return (
        _SHARDED_BY.get(table) or f"cityHash64({', '.join(n for n in ('category', 'symbol') if n in named)})"
    )


def views(layout: Layout) -> list[str]:
    """Return the statements that create the views, or replace them."""
    made = [statement(name).strip() for name in VIEWS]
    if not layout.cluster:
        return made
    return [_created(_ASKED.sub(rf"\1 {layout.database}.\2", text), layout) for text in made]


def on_cluster(migration: str, layout: Layout) -> str:
    """Return a statement of a migration as the place needs it."""
    if not layout.cluster:
        return migration
    return _ALTERED.sub(rf"ALTER TABLE {layout.database}.\1_local ON CLUSTER {layout.cluster}", migration)


def _local(name: str, layout: Layout) -> str:
    text = statement(name).strip()
    if ttl := layout.ttl(name):
        text = text.replace("\nSETTINGS ", f"\nTTL {ttl}\nSETTINGS ")
    text += "".join(f", {key} = {value}" for key, value in layout.settings(name).items())
    if not layout.cluster:
        return text
    return _created(text.replace("ENGINE = MergeTree", f"ENGINE = {REPLICATED_ENGINE}"), layout, "_local")


def _created(text: str, layout: Layout, suffix: str = "") -> str:
    return _CREATED.sub(rf"\1 {layout.database}.\2{suffix} ON CLUSTER {layout.cluster}", text, count=1)


def _clause(layout: Layout) -> str:
    return f" ON CLUSTER {layout.cluster}" if layout.cluster else ""
