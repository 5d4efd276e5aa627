"""A recorded range, played through the same dispatchers. docs/replay.md."""
