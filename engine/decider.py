"""Records decisions and has them obeyed; the one way by which a live feed tells a dispatcher anything."""

from collections.abc import Callable, Sequence

from engine.decisions import Decision, obey
from ext.dispatch import Dispatcher
from ext.journal import Journal

__all__ = ["Decider"]

OnFault = Callable[[Exception], object]


class Decider:
    """Carries decisions out, between receive batches and never inside one, so that a replay meets them in the
    same order. Without a ``journal`` nothing is recorded.
    """

    def __init__(self, journal: Journal | None) -> None:
        self.journal = journal

    def carry_out(
        self, dispatcher: Dispatcher, decisions: Sequence[Decision], connection: int, on_fault: OnFault
    ) -> None:
        """Record and obey; what cannot be recorded is obeyed all the same: no book may stay LIVE."""
        positions = [0] * len(decisions)
        try:
            positions = self._record(decisions, connection)
        except Exception as error:  # noqa: BLE001 - as above
            on_fault(error)
        for decision, position in zip(decisions, positions, strict=True):
            try:
                obey(dispatcher, decision.kind, decision.payload, decision.recv_ns, position)
            except Exception as error:  # noqa: BLE001 - one decision must not keep the next from being obeyed
                on_fault(error)

    def _record(self, decisions: Sequence[Decision], connection: int) -> list[int]:
        """Append to the journal, if there is one; return the positions."""
        if self.journal is None or not decisions:
            return [0] * len(decisions)
        positions = [
            self.journal.append_record(
                decision.kind, decision.encoded(), connection, decision.recv_ns, decision.mono_ns
            )
            for decision in decisions
        ]
        self.journal.commit()
        return positions
