"""`kill -9` of capture, of the loader, of the keeper, at random moments: what was seen is there, once."""

import json
import random
from pathlib import Path

import pytest

from tests.kills.__main__ import said
from tests.kills.trial import run_trial
from tests.support.recordings import ROOT

KILLS = 25


def test_kills_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    seed = random.SystemRandom().randrange(2**31)
    outcome = run_trial(tmp_path, seed, KILLS)
    print(outcome)
    assert json.loads(said([outcome]))["trials"][0]["kills"] == outcome.kills
    assert outcome.failures == []
    assert sum(outcome.kills.values()) >= KILLS * 0.8  # some find nobody: between two lives
    assert min(outcome.kills.values()) > 0
    assert outcome.seen > 1_000
    assert outcome.lost_in_gaps > 0, "nothing was lost: the test kills nothing"
