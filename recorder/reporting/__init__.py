"""A page on a recording. docs/verify.md."""
