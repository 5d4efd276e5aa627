"""How long a database keeps rows, and where: as people write it, and tables that are there brought to it."""

from typing import Final, Protocol

from engine.errors import ConfigError
from recorder.database.schema import RETAINED, Layout, local_name
from recorder.units import seconds

__all__ = ["moved", "rearrange", "whole_days"]

DAY_S: Final = 86_400
DAYS_MAX: Final = 36_500


class Runs(Protocol):
    """What is needed of a `recorder.database.clickhouse.Database`."""

    def command(self, sql: str) -> None: ...


def whole_days(name: str, text: str) -> int:
    """Return the days of ``"90d"``. Raises ConfigError for option ``name``."""
    days, rest = divmod(seconds(name, text), DAY_S)
    if rest or days > DAYS_MAX:
        raise ConfigError(name, text, f"it is a number of whole days, {DAYS_MAX} at most", 'write "90d"')
    return int(days)


def moved(volume: str, after: str) -> tuple[str, int] | None:
    """Return the volume and the days after which parts move there; None where none is named."""
    if not volume and not after:
        return None
    if not volume or not after:
        raise ConfigError(
            "--after",
            after or None,
            "a volume and a time belong together",
            "add --move-to-volume cold --after 7d",
        )
    return volume, whole_days("--after", after)


def rearrange(database: Runs, before: Layout, layout: Layout) -> list[str]:
    """Bring the tables that lie as ``before`` to the retention of ``layout``; returns what was done."""
    done = []
    for table in RETAINED:
        for change in _changes(table, before, layout):
            name = f"{layout.database}.{local_name(table, layout)}" if layout.cluster else table
            where = f" ON CLUSTER {layout.cluster}" if layout.cluster else ""
            database.command(f"ALTER TABLE {name}{where} {change}")
            done.append(f"{table}: {change}")
    return done


def _changes(table: str, before: Layout, layout: Layout) -> list[str]:
    changes = []
    if layout.policy != before.policy:  # first: a TTL names a volume of it
        changes.append(f"MODIFY SETTING storage_policy = '{layout.policy or 'default'}'")
    if layout.ttl(table) != before.ttl(table):
        ttl = layout.ttl(table)
        changes.append(f"MODIFY TTL {ttl} SETTINGS materialize_ttl_after_modify = 0" if ttl else "REMOVE TTL")
        if ttl and layout.ttl_days:
            changes.append("MODIFY SETTING ttl_only_drop_parts = 1")
    return changes
