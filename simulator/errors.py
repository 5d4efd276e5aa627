"""What the simulator raises when its caller asked for something it cannot do."""


class SimulatorError(Exception):
    """A wrong option or file; the text names the value, the rule and the remedy."""


class PortTakenError(SimulatorError):
    """A port that somebody else listens on."""
