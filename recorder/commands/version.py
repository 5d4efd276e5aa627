"""``tapehead version``."""

import platform
from importlib import metadata

from recorder import __version__
from recorder.commands.options import AsJson
from recorder.output import Output

__all__ = ["version"]

PARTS = ("picows", "uvloop", "orjson", "chdb", "clickhouse-connect")


def version(as_json: AsJson = False) -> None:
    """Say which version this is, and of what it is made."""
    versions = {"tapehead": __version__, "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in PARTS}
    output = Output(as_json=as_json)
    for name, number in versions.items():
        output.say(f"{name} {number}")
    output.result(versions)
