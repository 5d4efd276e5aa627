"""Real captures, which are no part of the project: found beside the checkout or by TAPEHEAD_CAPTURES."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("TAPEHEAD_CAPTURES", Path(__file__).resolve().parents[3] / "shared" / "data"))


def capture(name: str) -> Path:
    """Return the path of a capture file; skip the calling test where the file is not on this machine."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"capture {name} is not on this machine (set TAPEHEAD_CAPTURES to its folder)")
    return path
