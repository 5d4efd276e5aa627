"""Build of the compiled core: every ext/*.pyx becomes one extension module.

Environment switches:
  TAPEHEAD_DEBUG=1      -O0 with assertions and line tracing
  TAPEHEAD_SANITIZE=1   address and undefined-behaviour sanitizers
"""

import os
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
    "embedsignature.format": "python",
    "binding": True,
    "freethreading_compatible": False,
}


def enabled(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def compile_flags() -> tuple[list[str], list[str]]:
    compile_args = [
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
        "-Wno-missing-field-initializers",
    ]
    link_args: list[str] = []
    if enabled("TAPEHEAD_DEBUG"):
        compile_args += ["-O0", "-g", "-DCYTHON_TRACE=1"]
    else:
        compile_args += ["-O3", "-fno-semantic-interposition"]
    if enabled("TAPEHEAD_SANITIZE"):
        sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]
        compile_args += sanitizers
        link_args += sanitizers
    return compile_args, link_args


def refuse_free_threading() -> None:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise SystemExit("tapehead: free-threaded Python builds are not supported; use a build with the GIL.")


def extensions() -> list[Extension]:
    compile_args, link_args = compile_flags()
    return [
        Extension(
            f"ext.{path.stem}",
            [str(path)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            depends=sorted(str(header) for header in Path("ext").glob("*.h")),
        )
        for path in sorted(Path("ext").glob("*.pyx"))
    ]


refuse_free_threading()
directives = dict(DIRECTIVES, linetrace=enabled("TAPEHEAD_DEBUG"))
jobs = os.cpu_count() or 1
setup(
    ext_modules=cythonize(extensions(), compiler_directives=directives, nthreads=jobs),
    options={"build_ext": {"parallel": jobs}},
)
