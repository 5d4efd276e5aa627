"""A simulated market, recorded and checked."""
