"""What must be true before the compiled core is loaded: without it there is a crash, or a wrong answer."""

import sysconfig
from pathlib import Path

import picows.version

# The compiled core is bound to the layout of this version's objects.
PICOWS_VERSION = "2.3.1"


def check_interpreter() -> None:
    """Refuse a free-threaded Python."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise ImportError("free-threaded Python is not supported: use a build with the GIL")


def check_picows() -> None:
    """Refuse a picows other than the one the core was built for."""
    found = picows.version.__version__
    if found != PICOWS_VERSION:
        raise ImportError(
            f"picows was {found}, expected {PICOWS_VERSION}: pip install picows=={PICOWS_VERSION}"
        )


def check_core() -> None:
    """Refuse another package's ``ext``, and a core that was not built."""
    import ext  # only now: whose it is, is the question

    ours = Path(__file__).resolve().parent.parent / "ext"
    found = Path(ext.__file__ or "").resolve().parent
    if found != ours:
        raise ImportError(
            f"the import name 'ext' belongs to {found}, expected {ours}: remove the other package"
        )
    try:
        import ext.frames
    except ModuleNotFoundError as error:
        raise ImportError(f"the compiled core is missing ({error}): run `make build`") from error
