"""Compiled consumers: what a strategy in Cython looks like and costs. Built when a benchmark needs it."""

from pathlib import Path
from typing import Final

from Cython.Build import cythonize
from setuptools import Distribution, Extension

FOLDER: Final = Path(__file__).resolve().parent
ROOT: Final = FOLDER.parent.parent
BUILD_FOLDER: Final = ROOT / "build" / "benchmarks"


def build() -> None:
    """Compile the modules of this folder in place, as far as their sources are newer."""
    extensions = [
        Extension(f"benchmarks.native.{path.stem}", [str(path)], extra_compile_args=["-O3"])
        for path in sorted(FOLDER.glob("*.pyx"))
    ]
    modules = cythonize(
        extensions,
        build_dir=str(BUILD_FOLDER),
        include_path=[str(ROOT)],
        quiet=True,
        compiler_directives={"language_level": "3", "boundscheck": False, "wraparound": False},
    )
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = str(ROOT)
    command.build_temp = str(BUILD_FOLDER)
    command.ensure_finalized()
    command.run()
