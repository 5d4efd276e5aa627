"""The processes of `tapehead record`. docs/design.md."""
