"""When instruments are read again."""

from recorder.recording.refresh import LATE_S, RETRY_S, RETRY_S_MAX, SETTLE_S, SPACING_S, RefreshSchedule


def schedule(*categories: str, every_s: float = 3600) -> RefreshSchedule:
    return RefreshSchedule(categories or ("linear",), every_s, lambda: 1.0)


def test_all_are_due_at_once_and_then_by_the_interval() -> None:
    times = schedule("linear", "spot")
    assert times.due(100) == ["linear", "spot"]
    times.succeeded("linear", 100)
    assert times.due(100) == ["spot"]
    times.succeeded("spot", 200)
    assert times.wait_s(200) == 3500
    assert times.due(3699) == []
    assert times.due(3700) == ["linear"]


def test_a_failure_is_tried_again_less_and_less_often_and_never_given_up() -> None:
    times, waits = schedule(), []
    for _ in range(12):
        times.failed("linear", 0)
        waits.append(times.wait_s(0))
    assert waits[:3] == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S]
    assert waits[-1] == RETRY_S_MAX
    times.succeeded("linear", 0)
    times.failed("linear", 0)
    assert times.wait_s(0) == RETRY_S


def test_restarts_hasten_one_reading_not_one_each() -> None:
    times = schedule("linear", "spot")
    for category in ("linear", "spot"):
        times.succeeded(category, 0)
    for _ in range(600):
        times.hasten("linear", 1000)
    assert times.wait_s(1000) == SETTLE_S
    assert times.due(1000 + SETTLE_S) == ["linear"]
    times.succeeded("linear", 1000 + SETTLE_S)
    times.hasten("linear", 1000 + SETTLE_S)
    assert times.wait_s(1000 + SETTLE_S) == SPACING_S
    times.hasten("option", 1000)  # of no interest


def test_a_known_date_is_waited_for_and_looked_at_until_the_list_follows() -> None:
    times = schedule()
    times.succeeded("linear", 0, [500.0, 100_000.0, -1000.0])
    assert times.wait_s(0) == 500 + SETTLE_S
    times.succeeded("linear", 502, [500.0])
    assert times.wait_s(502) == SPACING_S
    times.succeeded("linear", 500 + LATE_S, [500.0])
    assert times.wait_s(500 + LATE_S) == 3600


def test_what_is_added_is_due_at_once_and_keeps_its_time_if_it_was_there() -> None:
    times = schedule()
    times.succeeded("linear", 0)
    times.watch("linear")
    times.watch("spot")
    assert times.due(1) == ["spot"]


def test_nothing_to_watch_waits_the_interval() -> None:
    assert RefreshSchedule((), 60, lambda: 0.0).wait_s(5) == 60


def test_a_reading_before_its_category_is_watched_changes_nothing() -> None:
    schedule = RefreshSchedule(["linear"], 3600, lambda: 0.5)
    schedule.succeeded("spot", 100.0)
    schedule.watch("spot")
    assert "spot" in schedule.due(100.0)
