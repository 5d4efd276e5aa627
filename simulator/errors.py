"""What the simulator raises when it cannot do what it was asked for."""


class SimulatorError(Exception):
    """A wrong option or file; the text names the value, the rule and the remedy."""

    exit_code = 2


class MachineError(SimulatorError):
    """This machine does not let us: a port, a folder, a disk."""

    exit_code = 3
