"""Runs tests against the program with some of its values broken, in a fork of this process.

No file is written for it, and nobody waits for the SDKs to load: that takes most of a test run's time.
"""

from __future__ import annotations

import ast
import gc
import importlib.machinery
import importlib.util
import io
import json
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn, cast

import grpc.aio
import pytest

from tests.mutation.mutations import Mutation

ROOT = Path(__file__).resolve().parents[2]
_SUITES = ("tests/program", "tests/local", "tests/project")
_PROGRAM = str(ROOT / "dragonfly") + os.sep
# They run the whole program, in an existing cluster and in one of its own.
_WARMING = ("tests/program/objects/test_workloads.py", "tests/program/gke/test_gke_security.py")
_TESTS = ("tests.program.", "tests.local.", "tests.project.")
_BROKEN_OR_ABOUT_IT = ("dragonfly", "local.", *_TESTS)
# The search of memory for what was never awaited takes more time than most tests.
_LEFT_OUT = ("cacheprovider", "xdist", "unraisableexception", "threadexception")
_OPTIONS = ("-x", "--assert=plain", "--tb=no", "--hypothesis-seed=0", *(f"-pno:{plug_in}" for plug_in in _LEFT_OUT))


@dataclass(eq=False)
class Outcome:
    """What pytest reports.

    Attributes:
        failed: the first test, or file that could not be imported, that failed.
        tests: those that ran.
        seconds: what they took, without their fixtures.
        files: of the program, that were imported meanwhile.
    """

    failed: str | None = None
    tests: list[str] = field(default_factory=list[str])
    seconds: float = 0
    files: list[str] = field(default_factory=list[str])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.tests.append(report.nodeid)
            self.seconds += report.duration
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def _tests_of_the_program() -> list[str]:
    """Return the unit tests' files that import the program, by themselves or through other files of theirs."""

    def imports(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield node.module

    def concerned(path: Path) -> bool:
        return any(
            name.startswith("dragonfly")
            or name == "tests.program.recorded.recorded_program"
            or (name.startswith(_TESTS) and concerned(ROOT / f"{name.replace('.', '/')}.py"))
            for name in imports(path)
        )

    files = sorted(path for suite in _SUITES for path in (ROOT / suite).rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in files if concerned(path)]


def warm_up() -> dict[str, Outcome]:
    """Load the SDKs, with what they keep once they were used; return what comes of each file of tests in a fork.

    Raises:
        SystemExit: a test fails with nothing broken.
    """
    _run(_WARMING)
    for name in [name for name in sys.modules if name.startswith(_BROKEN_OR_ABOUT_IT)]:
        del sys.modules[name]
    # What waits for gRPC waits for ever in a fork of a process that has a thread of it.
    gc.collect()
    cast(Any, grpc.aio).shutdown_grpc_aio()
    gc.freeze()
    outcomes = {file: outcome([file], [], 600) for file in _tests_of_the_program()}
    for one in outcomes.values():
        if one.failed:
            raise SystemExit(f"{one.failed} fails with nothing broken")
    return outcomes


def outcome(tests: Sequence[str], broken: Sequence[Mutation], seconds: float) -> Outcome:
    """Run tests, up to the first that fails, and return what came of it.

    Args:
        tests: single ones or files of them, as pytest names them.
        broken: all that is broken at once.
        seconds: after which they are ended, which counts as a failure.
    """
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        _run_and_tell(tests, broken, write)
    os.close(write)
    told = b""
    while select.select([read], [], [], seconds)[0] and (part := os.read(read, 1 << 16)):
        told += part
    os.close(read)
    # Also what it started.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not told:
        return Outcome(f"{tests[0]} (no end in {seconds:.0f} s)")
    return Outcome(**json.loads(told))


def _run_and_tell(tests: Sequence[str], broken: Sequence[Mutation], pipe: int) -> NoReturn:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for output in (0, 1, 2):
        os.dup2(nowhere, output)
    for mutation in broken:
        mutation.apply()
    sys.meta_path.insert(0, _BrokenFiles({mutation.path: mutation.tree for mutation in broken}))
    found = _run(tests)
    imported = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    found.files = [str(Path(file).relative_to(ROOT)) for file in imported if file and file.startswith(_PROGRAM)]
    with os.fdopen(pipe, "w") as told:
        json.dump(vars(found), told)
    os._exit(0)


def _run(tests: Sequence[str]) -> Outcome:
    found = Outcome()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = pytest.main([*_OPTIONS, *tests], plugins=[found])
    if code != pytest.ExitCode.OK and found.failed is None:
        found.failed = f"{tests[0]} (exit code {code})"
    return found


class _BrokenFiles:
    """Finds modules whose files are broken."""

    def __init__(self, trees: dict[str, ast.Module]) -> None:
        self._loaders = {
            path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): (path, tree)
            for path, tree in trees.items()
        }

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name not in self._loaders:
            return None
        path, tree = self._loaders[name]
        return importlib.util.spec_from_file_location(
            name, ROOT / path, loader=_BrokenFile(name, str(ROOT / path), tree)
        )


class _BrokenFile(importlib.machinery.SourceFileLoader):
    """Loads the broken file in place of what is on the disk."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self._tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(ast.fix_missing_locations(self._tree), self.path, "exec")
