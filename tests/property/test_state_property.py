"""A state that was saved, read and gone on from: who reads on knows all that the one before knew."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ext.dispatch import Dispatcher
from ext.state import dispatcher_state, restore_dispatcher
from recorder.loading.state import State
from tests.property.test_legs_property import Lines, obey
from tests.support.calls import Script, Transcript
from tests.support.captures import capture

CALLS = 800
STEPS = 400


def saved(dispatcher: Dispatcher) -> bytes:
    return State.of("r1", 1, 1, 1, "1", {"it": dispatcher_state(dispatcher)}).parts["it"]


def restored(data: bytes) -> tuple[Dispatcher, Transcript]:
    heard = Transcript()
    dispatcher = Dispatcher("linear", heard, control=heard.control)
    restore_dispatcher(dispatcher, State("r1", 1, 1, 1, "1", {"it": data}).part("it"))
    return dispatcher, heard


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), stops=st.lists(st.integers(0, CALLS - 1), min_size=1, max_size=4))
def test_stopped_anywhere_a_dispatcher_goes_on_as_if_it_had_not(seed: int, stops: list[int]) -> None:
    calls = Script(Random(seed)).calls(CALLS)
    heard = Transcript()
    dispatcher = Dispatcher("linear", heard, control=heard.control)
    others: list[tuple[Dispatcher, Transcript, int]] = []
    for number, call in enumerate(calls):
        if number in stops:
            state = saved(dispatcher)
            twin, told = restored(state)
            assert saved(twin) == state
            others.append((twin, told, len(heard.lines)))
        call.make(dispatcher)
        for twin, _, _ in others:
            call.make(twin)
    end = saved(dispatcher)
    for twin, told, begun in others:
        assert told.lines == heard.lines[begun:]
        assert twin.counters == dispatcher.counters
        assert twin.legs() == dispatcher.legs()
        assert twin.holes() == dispatcher.holes()
        assert saved(twin) == end


class Unchecked(Lines):
    """Lines whose book is not held against the venue's: that is for the tests of legs."""

    def _do(self, name: str, leg: int, frame: bytes = b"") -> None:
        self.script.append((name, leg, frame))
        obey(self.dispatcher, self.topic, len(self.script), name, leg, frame)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), depth=st.sampled_from([1, 50]), stop=st.floats(0, 1))
def test_stopped_anywhere_the_legs_of_a_book_go_on_as_if_it_had_not(
    seed: int, depth: int, stop: float
) -> None:
    """Legs of a venue that keeps its own rules: they are in step, behind, held and followed as there."""
    lines = Unchecked(Random(seed), 3, depth)
    for _ in range(STEPS):
        lines.step(faults=True)
    lines.settle()
    heard = Transcript()
    dispatcher = Dispatcher("linear", heard, control=heard.control)
    twin, told, begun = dispatcher, heard, 0
    stop_at = round(stop * (len(lines.script) - 1))
    for number, (name, leg, frame) in enumerate(lines.script):
        if number == stop_at:
            twin, told = restored(saved(dispatcher))
            begun = len(heard.lines)
        for one in {id(dispatcher): dispatcher, id(twin): twin}.values():
            obey(one, lines.topic, number + 1, name, leg, frame)
    assert told.lines == heard.lines[begun:]
    assert saved(twin) == saved(dispatcher)


def test_a_real_capture_goes_on_from_anywhere(random: Random) -> None:
    frames = capture("bybit_linear_sol_doge.recv_ns.log").read_bytes().splitlines()
    stops = set(random.sample(range(len(frames)), 6))
    heard = Transcript()
    dispatcher = Dispatcher("linear", heard, control=heard.control)
    others: list[tuple[Dispatcher, Transcript, int]] = []
    for number, line in enumerate(frames):
        if number in stops:
            others.append((*restored(saved(dispatcher)), len(heard.lines)))
        recv_ns, _, frame = line.partition(b" ")
        for one in (dispatcher, *(other[0] for other in others)):
            one.feed(frame, int(recv_ns), 0, number + 1)
    for twin, told, begun in others:
        assert told.lines == heard.lines[begun:]
        assert saved(twin) == saved(dispatcher)
