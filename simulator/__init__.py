"""A stand-in for the public Bybit V5 market on loopback: one market a symbol, or a capture played back."""
