"""A recording for a long time at a busy rate: memory flat, nothing lost, everything that is kept in order."""
