"""A state that was saved, read and gone on from: who reads on knows all that the one before knew."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ext.dispatch import Dispatcher
from ext.state import dispatcher_state, restore_dispatcher
from recorder.state import State
from tests.support.calls import Script, Transcript

CALLS = 800


def saved(dispatcher: Dispatcher) -> bytes:
    return State.of("r1", 1, 1, 1, "1", {"it": dispatcher_state(dispatcher)}).parts["it"]


def restored(data: bytes) -> tuple[Dispatcher, Transcript]:
    heard = Transcript()
    dispatcher = Dispatcher("linear", heard, control=heard.control)
    restore_dispatcher(dispatcher, State("r1", 1, 1, 1, "1", {"it": data}).part("it"))
    return dispatcher, heard


@settings(max_examples=40)
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
