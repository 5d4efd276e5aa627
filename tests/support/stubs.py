"""Hold the .pyi files of the compiled core against the modules themselves; `make check` runs this.

Only what Cython itself adds to a module is allowed to be missing from its stub.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A Cython class shows the signature of its constructor in its docstring alone; the rest is what Cython adds.
# Python 3.11 has the buffer protocol without a method that shows it.
ALLOWED = r"""
ext\..*\.__init__
ext\..*\.__buffer__
ext\..*\.__test__
ext\..*\.__pyx_capi__
ext\..*\.__reduce_cython__
ext\..*\.__setstate_cython__
ext\..*\.__pyx_vtable__
ext\..*\.__pyx_unpickle_.*
"""
# Every Cython class is a "disjoint base"; the stubs need not say so.
OPTIONS = ("--ignore-unused-allowlist", "--ignore-disjoint-bases", "--concise")


def compiled_modules() -> list[str]:
    """Return the names of the core's modules that have a stub."""
    return sorted(
        f"ext.{path.stem}" for path in (ROOT / "ext").glob("*.pyx") if path.with_suffix(".pyi").exists()
    )


def without_stub() -> list[str]:
    """Return the sources of the core that have no stub, or no module that was built from them."""
    problems = []
    for source in sorted((ROOT / "ext").glob("*.pyx")):
        if not source.with_suffix(".pyi").exists():
            problems.append(f"{source.name}: there is no {source.stem}.pyi")
        if not list(source.parent.glob(f"{source.stem}.*.so")):
            problems.append(f"{source.name}: it is not built: run `make build`")
    return problems


def main() -> int:
    problems = without_stub()
    if problems:
        sys.stderr.write("\n".join(problems) + "\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        allowed = Path(folder, "allowed")
        allowed.write_text(ALLOWED)
        command = [sys.executable, "-m", "mypy.stubtest", "--allowlist", str(allowed), *OPTIONS]
        environment = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*command, *compiled_modules()], cwd=ROOT, env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
