"""Users of a server by what they may do; as statements, without any password.

A password is given as its SHA-256 in the environment, or left as a placeholder to be filled in.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

from engine.errors import ConfigError
from recorder.database.schema import Layout

__all__ = ["HASHES", "users"]

# Users, and the variable that holds the SHA-256 of each one's password in hex.
HASHES: Final = {
    "tapehead_recorder": "TAPEHEAD_RECORDER_SHA256",
    "tapehead_migrate": "TAPEHEAD_MIGRATE_SHA256",
    "tapehead_reader": "TAPEHEAD_READER_SHA256",
}
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}\Z")

_READER_SETTINGS: Final = "readonly = 1, max_memory_usage = 4000000000, max_execution_time = 300"


def users(layout: Layout, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the statements that make the users; IF NOT EXISTS, so that each may be run again.

    ``tapehead_recorder`` inserts and selects, and deletes rows of a batch that it had begun and builds anew;
    ``tapehead_migrate`` makes and changes tables; ``tapehead_reader`` only reads, within limits.
    """
    rows, database, where = f"{layout.database}.*", layout.database, _clause(layout)
    made = [_user(name, layout, environment) for name in HASHES]
    grants = [
        f"GRANT{where} SELECT, INSERT, ALTER DELETE ON {rows} TO tapehead_recorder",
        f"GRANT{where} SELECT, INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW,"
        f" ALTER TABLE ON {rows} TO tapehead_migrate",
        f"GRANT{where} SELECT ON {database}.* TO tapehead_reader",
    ]
    if layout.cluster:
        # The engine Distributed counts as a way out of the server, ON CLUSTER as a right of its own.
        grants += [
            f"GRANT{where} REMOTE ON *.* TO tapehead_migrate",
            f"GRANT{where} CLUSTER ON *.* TO tapehead_migrate",
            f"GRANT{where} CLUSTER ON *.* TO tapehead_recorder",
        ]
    return made + grants


def _user(name: str, layout: Layout, environment: Mapping[str, str]) -> str:
    settings = f" SETTINGS {_READER_SETTINGS}" if name == "tapehead_reader" else ""
    password = _hash(HASHES[name], environment)
    made = f"CREATE USER IF NOT EXISTS {name}{_clause(layout)}"
    return f"{made} IDENTIFIED WITH sha256_hash BY '{password}'{settings}"


def _hash(variable: str, environment: Mapping[str, str]) -> str:
    given = environment.get(variable, "").strip()
    if not given:
        return f"<{variable}>"
    if not _SHA256.match(given):
        rule = "it is the SHA-256 of a password, 64 digits in hex"
        raise ConfigError(variable, "(not shown)", rule, "make it with: printf %s PASSWORD | sha256sum")
    return given.lower()


def _clause(layout: Layout) -> str:
    return f" ON CLUSTER {layout.cluster}" if layout.cluster else ""
