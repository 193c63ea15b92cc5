"""Builds the C library with Go while the package is built; pyproject.toml says the rest."""

import pathlib
import shutil
import subprocess

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution
from setuptools.errors import ExecError

SOURCE = pathlib.Path(__file__).resolve().parent.parent


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        root = SOURCE / "python" if self.editable_mode else pathlib.Path(self.build_lib)
        build_library(root.resolve() / "bitgpu" / "libbitgpu.so")


def build_library(path):
    if not (SOURCE / "cmd" / "libbitgpu").is_dir():
        raise ExecError(f"bitgpu: there is no Go source in {SOURCE}; install from a checkout: pip install ./python")
    if shutil.which("go") is None:
        raise ExecError("bitgpu: the library is built with Go, which is not on the path")
    command = ["go", "build", "-buildmode=c-shared", "-buildvcs=false", "-o", str(path), "./cmd/libbitgpu"]
    if subprocess.run(command, cwd=SOURCE).returncode != 0:
        raise ExecError("bitgpu: Go could not build the library; see above")
    path.with_suffix(".h").unlink()  # bitgpu.h says it better


class BinaryDistribution(Distribution):
    def has_ext_modules(self):
        return True


class AnyPython(bdist_wheel):
    """The library is for one platform, but any Python loads it."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(distclass=BinaryDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": AnyPython})
