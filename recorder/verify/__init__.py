"""Spool against database against ledger, and how good a recording is, by day and symbol (docs/verify.md)."""

from recorder.verify.books import book_at
from recorder.verify.report import BookCheck, RowCheck, VerifyReport
from recorder.verify.run import verify
from recorder.verify.selection import Selection

__all__ = ["BookCheck", "RowCheck", "Selection", "VerifyReport", "book_at", "verify"]
