"""Orders through an exchange that fails, by clients that are killed: held against the exchange's own log."""
