"""Spool against database against ledger: everything that `verify` does with one recorder, in its order."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from recorder.database.clickhouse import Database
from recorder.intervals import Interval, subtract, union
from recorder.loading.decoding import nearest_playback
from recorder.playback import Playback
from recorder.spool.seals import Reason
from recorder.verify import facts
from recorder.verify.books import TableBooks
from recorder.verify.compare import Comparison, check_books, check_marks
from recorder.verify.frames import Frames, Sent
from recorder.verify.plan import Plan, Stretch, plan
from recorder.verify.problems import Problem
from recorder.verify.quality import Latency, SymbolDay, symbol_days
from recorder.verify.report import Clock, Sources, VerifyReport
from recorder.verify.selection import Selection, day_name, symbol_of
from recorder.verify.watch import LAG_MS_MAX, Watch

__all__ = ["Tell", "verify"]

RUN_RECORDS: Final = 10_000
END: Final = (1 << 64) - 1

Tell = Callable[[str, int, int], None]
"""What is being done, up to which position, and where that will end."""


def verify(
    spool: Path | None,
    database: Database | None,
    recorder: str,
    *,
    selection: Selection = Selection(),  # noqa: B008  # frozen
    against: Path | None = None,
    tell: Tell | None = None,
) -> VerifyReport:
    """Compare a spool with what a database holds of it, up to the commit mark; or look at one of them alone.

    Args:
        spool: folder of the spool; None where there is the database only.
        database: a connection that may read; None where there is the spool only.
        recorder: the name in the rows.
        selection: of time and symbols; all that reaches it is read, and not more is compared.
        against: a log of a simulator, of what it sent to this recorder.
        tell: called now and then.

    Raises:
        DatabaseError: the database does not answer.
        SpoolError: the spool cannot be read.
    """
    return _Verification(spool, database, recorder, selection, against, tell or (lambda *_: None)).run()


class _Verification:
    """One run, step by step."""

    def __init__(
        self,
        spool: Path | None,
        database: Database | None,
        recorder: str,
        selection: Selection,
        against: Path | None,
        tell: Tell,
    ) -> None:
        self._spool = spool
        self._database = database
        self._selection = selection
        self._against = against
        self._tell = tell
        self._report = VerifyReport(recorder, selection=selection)
        self._report.sources = Sources(spool=spool is not None, database=database is not None)
        self._watch = Watch(selection)
        self._frames = Frames(selection, with_digests=against is not None)
        self._compared: list[Interval] = []  # positions, the ends not included
        self._chains = self._watch.chains
        self._last_ns = 0

    def run(self) -> VerifyReport:
        """Do all of it."""
        report, database = self._report, self._database
        report.position = END if database is None else facts.mark_of(database, report.recorder)
        if not report.position:
            report.found.append(Problem(f"nothing of recorder {report.recorder} is loaded"))
            return report
        if self._spool is not None:
            self._run_spool(self._spool)
            self._against_log()
        if database is not None:
            self._run_tables(database)
        self._quality()
        return report

    def _run_spool(self, spool: Path) -> None:
        report = self._report
        loaded = facts.loaded_segments(self._database, report.recorder) if self._database else ()
        made = plan(spool, report.recorder, report.position, loaded, self._selection)
        self._note(made)
        comparison = Comparison(self._database, report.recorder, self._selection) if self._database else None
        playback = None
        for stretch in made.stretches:
            playback = self._run_stretch(spool, stretch, comparison)
        if comparison is not None:
            report.rows += comparison.checks()
            report.found += comparison.problems
        if playback is None:
            return
        if self._database is None:
            report.position = playback.position
        elif not self._selection.symbols and playback.position == report.position:
            report.books, different = check_books(
                self._database, report.recorder, report.position, self._watch
            )
            report.found += different
        report.open_gaps = [
            f"{category} {gap.topic} ({gap.cause})"
            for category, dispatcher in playback.dispatchers.items()
            for gap in dispatcher.open_gaps()
        ]
        report.counters = {name: one.counters for name, one in playback.dispatchers.items()}

    def _run_stretch(self, spool: Path, stretch: Stretch, comparison: Comparison | None) -> Playback:
        report, watch = self._report, self._watch
        playback = (
            nearest_playback(spool, (stretch.segment + 1) << 32, watch, watch.on_rest)
            if stretch.segment
            else Playback(spool, watch, watch.on_rest)
        )
        watch.watch(playback)
        begin, frames, records = playback.position, playback.frames, playback.records
        low = begin + 1
        while True:
            taken = playback.run(RUN_RECORDS, until=stretch.until, stay=True)
            self._tell("records", playback.position, stretch.until)
            if comparison is None:
                watch.count_rows()
            elif playback.at_seam or not taken:
                comparison.compare(low, playback.position, watch.rows)
                low = playback.position + 1
                watch.rows.clear()
            if not taken and not (playback.at_seam and playback.run(1, until=stretch.until)):
                break
        watch.leave()
        self._last_ns = playback.recv_ns
        playback.close()
        report.frames += playback.frames - frames
        report.records += playback.records - records
        self._count_frames(spool, begin, playback, playback.frames - frames)
        if self._database is not None:
            self._compared.append((begin + 1, playback.position + 1))
            check, wrong = check_marks(
                self._database, report.recorder, begin, playback.position, playback.records - records
            )
            report.rows.append(check)
            report.found += wrong
        return playback

    def _count_frames(self, spool: Path, begin: int, playback: Playback, frames: int) -> None:
        """Count the frames of the same records without a playback."""
        before = self._frames.frames
        for position in self._frames.run(spool, begin, playback.position):
            self._tell("frames", position, playback.position)
        if self._database is None:
            self._report.found += [
                _missing((one.position >> 32) + 1, one.next_position - 1 >> 32)
                for one in self._frames.damage
                if one.position >> 32 != one.next_position >> 32
            ]
            self._frames.damage.clear()
        counted = self._frames.frames - before
        if counted != frames:
            text = f"frames: {counted} are in the records of the spool, playback saw {frames} of them"
            self._report.found.append(Problem(text))

    def _note(self, made: Plan) -> None:
        """What of the spool is not there, and why; and what it consists of."""
        sources = self._report.sources
        for one in made.gone:
            told = sources.expired if one.reason is Reason.EXPIRED else sources.dropped
            told.append((one.first_segment, one.last_segment, one.records))
        sources.missing = made.missing
        sources.uncompared = made.uncompared
        hashes = [str(one["sha256"]) for one in made.segments if "sha256" in one]
        sources.segments = len(hashes)
        sources.inputs = hashlib.sha256("".join(hashes).encode()).hexdigest() if hashes else ""
        self._report.found += [_missing(first, last) for first, last in made.missing]

    def _run_tables(self, database: Database) -> None:
        report = self._report
        low, high = facts.positions(database, report.recorder, report.position, self._selection)
        books = TableBooks(database, report.recorder, self._selection)
        for position in books.run(low, high):
            self._tell("books", position, high)
        report.snapshots = books.snapshots
        report.found += books.problems
        self._chains = books.chains
        # What was held against the spool needs no second count.
        for first, last in subtract([(low, high + 1)], union(self._compared)):
            problems, expired = facts.batch_problems(database, report.recorder, first, last - 1)
            report.found += problems
            report.sources.rows_expired |= expired

    def _quality(self) -> None:
        report, database, watch = self._report, self._database, self._watch
        if database is None:
            report.gaps = sorted(watch.gaps.values(), key=lambda gap: (gap.start_ns, gap.topic))
        else:
            report.gaps = facts.gap_spans(database, report.recorder, report.position, self._selection)
            self._last_ns = max(self._last_ns, facts.last_ns(database, report.recorder, report.position))
            if not self._compared or self._compared[0][0] > 1:  # of what comes before, tables alone can tell
                until_ns = min(watch.begun_ns or self._last_ns, self._last_ns)
                spans = facts.topic_spans(
                    database, report.recorder, report.position, self._selection, until_ns
                )
                for topic, some in spans.items():
                    watch.wanted[topic] += some
        if self._spool is None:
            report.open_gaps = [
                f"{gap.category} {gap.topic} ({gap.cause})" for gap in report.gaps if gap.end_ns is None
            ]
        days = symbol_days(self._selection, self._last_ns, watch.wanted, report.gaps, self._chains)
        self._add_counts(days)
        report.days = [days[key] for key in sorted(days)]
        report.clock, report.lags = self._clock()

    def _add_counts(self, days: dict[tuple[int, str, str], SymbolDay]) -> None:
        report, database = self._report, self._database

        def of(key: tuple[int, str, str]) -> SymbolDay:
            return days.setdefault(key, SymbolDay(day_name(key[0]), key[1], key[2]))

        for key, frames in self._frames.by_symbol.items():
            of(key).frames = frames
        if database is None:
            for key, (of_ts, of_cts) in self._watch.lags.items():
                of(key).recv_ts, of(key).recv_cts = Latency.of(of_ts), Latency.of(of_cts)
            for key, of_tables in self._watch.counted.items():
                of(key).rows = dict(of_tables)
        else:
            counted = facts.row_counts(database, report.recorder, report.position, self._selection)
            for key, rows in counted.items():
                of(key).rows = rows
            for key, lags in facts.latencies(
                database, report.recorder, report.position, self._selection
            ).items():
                of(key).recv_ts, of(key).recv_cts = lags
        for problem in report.found:
            one = days.get((problem.day, problem.category, problem.symbol))
            if one is not None:
                one.problems += 1

    def _clock(self) -> tuple[Clock, dict[str, Counter[int]]]:
        watch = self._watch
        if self._database is None:
            lags = {"recv_ts": Counter[int](), "recv_cts": Counter[int]()}
            for of_ts, of_cts in watch.lags.values():
                lags["recv_ts"] += of_ts
                lags["recv_cts"] += of_cts
            steps = len(watch.steps_ns)
        else:
            lags = facts.histogram(
                self._database, self._report.recorder, self._report.position, self._selection
            )
            steps = facts.steps(self._database, self._report.recorder)
        least_ms = min(lags["recv_ts"], default=LAG_MS_MAX)
        bounds = [("stream", float(least_ms))] if abs(least_ms) < LAG_MS_MAX else []
        if watch.answer_lag_ns is not None:
            bounds.append(("rest", round(watch.answer_lag_ns / 1e6, 3)))
        by, ahead_ms = min(bounds, key=lambda bound: bound[1], default=(None, None))
        return Clock(ahead_ms, by, steps), lags

    def _against_log(self) -> None:
        """What a log says was sent, against what the records hold; what is not there is in a gap, or lost."""
        if self._against is None:
            return
        sent = Sent(self._against)
        self._report.sent = sent.frames
        in_ledger = {gap.topic for gap in self._watch.gaps.values()}
        for topic in sorted({*sent.topics, *self._frames.topics}):
            (said, said_sum), (held, held_sum) = sent.topics[topic], self._frames.topics[topic]
            if (said, said_sum) == (held, held_sum) or (held < said and topic in in_ledger):
                continue
            what = f"{said} frames were sent, {held} are in the spool"
            what += ", not the same ones" if said == held else ""
            self._report.found.append(
                Problem(f"log {topic}: {what}, and no gap of it", -1, "", symbol_of(topic))
            )


def _missing(first: int, last: int) -> Problem:
    return Problem(
        f"spool: segments {first} to {last} are missing, and expired.json does not say that they expired"
    )
