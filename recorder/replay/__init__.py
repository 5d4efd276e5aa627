"""A recorded range as an exchange. docs/replay.md."""
