"""The proof itself, and that it can fail."""
