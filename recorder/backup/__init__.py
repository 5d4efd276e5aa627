"""A copy of a recording, made while it goes on. docs/operations.md."""
