"""Break every deliberate value of the program once, and tell which unit test notices: `python -m tests.mutation`.

Each mutation is tried in a fork of one process, so that no file is written and nobody waits for the SDKs to load, which
takes most of a test run's time. Where it is inside a function, the fork has also collected the tests, and is given the
function's broken code. Where importing runs it, or no test noticed, the fork has nothing of the program yet and imports
the broken file. The test that noticed last time is asked first, then those that noticed most in the same file, then the
others; the first failure ends a fork.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import importlib.machinery
import importlib.util
import io
import json
import multiprocessing
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from tests.mutation.mutations import Mutation, mutations
from tests.mutation.reasons import read_reasons

ROOT = Path(__file__).resolve().parents[2]
# Which test noticed what, last time.
LIST = ROOT / ".local" / "mutations.json"
SUITE = "tests/unit"
# What is broken, or imports it.
_OURS = ("dragonfly", "local", "tests")
_LONGEST_SECONDS = 600
_FORK = multiprocessing.get_context("fork")


@dataclass(eq=False)
class _Watch:
    """What pytest reports.

    Attributes:
        failed: the first test, or file that could not be imported, that failed.
        milliseconds: what the tests of each file took.
    """

    failed: str | None = None
    milliseconds: Counter[str] = field(default_factory=Counter[str])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.milliseconds[report.nodeid.partition("::")[0]] += round(report.duration * 1000)
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


@dataclass(eq=False)
class _Collected(_Watch):
    """Does something else with the collected tests than to run them."""

    use: Callable[[list[pytest.Item], _Watch], None] | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self.use is None:
            return None
        self.use(session.items, self)
        return True


def _run(tests: Iterable[str], use: Callable[[list[pytest.Item], _Watch], None] | None = None) -> _Watch:
    """Run tests in this process, silently, up to the first failure; or collect them for somebody to use."""
    watch = _Collected(use=use)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        options = ("-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0")
        code = pytest.main([*options, *tests], plugins=[watch])
    if code != pytest.ExitCode.OK and watch.failed is None:
        watch.failed = f"(pytest ends: {code})"
    return watch


def _forget_the_program() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]


def _about_the_program() -> list[str]:
    """Return the unit tests' files that import the program, by themselves or through other files of theirs."""

    def imports(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield node.module

    def concerned(path: Path) -> bool:
        return any(
            name.startswith("dragonfly")
            or name == "tests.unit.recorded_program"
            or (name.startswith("tests.unit.") and concerned(ROOT / f"{name.replace('.', '/')}.py"))
            for name in imports(path)
        )

    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / SUITE).glob("test_*.py")) if concerned(path)]


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _BrokenFile(importlib.machinery.SourceFileLoader):
    """Loads the broken file in place of what is on the disk."""

    def __init__(self, mutation: Mutation) -> None:
        super().__init__(_module(mutation.path), str(ROOT / mutation.path))
        self._tree = mutation.tree

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return compile(ast.fix_missing_locations(self._tree), self.path, "exec")


_Functions = dict[tuple[str, str, int], list[FunctionType]]


def _functions_by_code() -> _Functions:
    """Return all functions of the program, loaded to its last file."""
    for path in Path("dragonfly").rglob("*.py"):
        importlib.import_module(_module(str(path)))
    found: defaultdict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename.startswith(str(ROOT / "dragonfly")):
            found[_place(one.__code__)].append(one)
    return found


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _replace_code(mutation: Mutation, functions: _Functions) -> bool:
    """Give existing functions the broken code of their file; False where one cannot take it."""
    module = compile(ast.fix_missing_locations(mutation.tree), str(ROOT / mutation.path), "exec")
    try:
        for code in _codes(module):
            for function in functions.get(_place(code), ()):
                function.__code__ = code
    except ValueError:
        # It needs other variables of what surrounds it than before.
        return False
    return True


@dataclass(frozen=True)
class _Trial:
    """A mutation, by its place among all, and the tests to ask first."""

    number: int
    first: Sequence[str]


@dataclass
class _Fork:
    """What a fork finds there besides the SDKs.

    Attributes:
        mutations: all of them.
        files: of the tests to ask.
        items, watch, functions: where the program is loaded, the collected tests, who hears of their failures, and the
            program's functions by their code's place.
    """

    mutations: list[Mutation]
    files: list[str]
    items: list[pytest.Item] = field(default_factory=list[pytest.Item])
    watch: _Watch = field(default_factory=_Watch)
    functions: _Functions = field(default_factory=_Functions)

    def try_new_code(self, trial: _Trial) -> str | None:
        """Return which test notices a mutation inside a function of the loaded program."""
        mutation = self.mutations[trial.number]
        mutation.apply()
        if not _replace_code(mutation, self.functions):
            return None
        first = [item for test in trial.first for item in self.items if item.nodeid == test]
        order = [*first, *(item for item in self.items if item not in first)]
        for item, following in pairwise([*order, None]):
            assert item is not None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.watch.failed:
                break
        return self.watch.failed

    def try_import(self, trial: _Trial) -> str | None:
        """Return which test notices a mutation in a file that is not loaded yet."""
        mutation = self.mutations[trial.number]
        mutation.apply()
        sys.meta_path.insert(0, _BrokenFile(mutation))
        return (_run(trial.first).failed if trial.first else None) or _run(self.files).failed


def _in_forks(
    attempt: Callable[[_Trial], str | None], trials: Iterable[_Trial], jobs: int
) -> Iterator[tuple[int, str | None]]:
    """Yield the number of each mutation and which test notices it."""
    global _attempt
    # A fork inherits it: what is sent must be pickled.
    _attempt = attempt
    with _FORK.Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap(_in_fork, trials)


_attempt: Callable[[_Trial], str | None]


def _in_fork(trial: _Trial) -> tuple[int, str | None]:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, end)
    signal.alarm(_LONGEST_SECONDS)
    try:
        return trial.number, _attempt(trial)
    except KeyboardInterrupt:
        return trial.number, f"(no end in {_LONGEST_SECONDS} s)"


def _by_key(found: Iterable[Mutation]) -> dict[str, Mutation]:
    """Return mutations by their keys; of those with one key the second and later are numbered."""
    count: Counter[str] = Counter()
    numbered: dict[str, Mutation] = {}
    for mutation in found:
        count[mutation.key] += 1
        number = count[mutation.key]
        numbered[mutation.key if number == 1 else f"{mutation.key} ({number})"] = mutation
    return numbered


class _Course:
    """One course through all mutations, and what it finds out."""

    def __init__(self, found: dict[str, Mutation], known: dict[str, str | None], jobs: int) -> None:
        self._keys = [_NOTHING, *found]
        self._fork = _Fork([_nothing_broken(), *found.values()], [])
        self._known = known
        self._jobs = jobs
        self.noticed: dict[str, str | None] = {}

    def run(self, progress: Callable[[str], None]) -> None:
        """Try everything.

        Raises:
            SystemExit: a test fails with nothing broken.
        """
        suite = _run(_about_the_program())
        if suite.failed:
            raise SystemExit(f"{suite.failed} fails with nothing broken")
        _forget_the_program()
        self._fork.files = sorted(suite.milliseconds, key=suite.milliseconds.__getitem__)

        def use(items: list[pytest.Item], watch: _Watch) -> None:
            self._fork.items, self._fork.watch, self._fork.functions = items, watch, _functions_by_code()
            inside = [number for number, one in enumerate(self._fork.mutations) if one.in_function]
            self._take(self._fork.try_new_code, inside, progress)

        if (collected := _run(self._fork.files, use)).failed:
            raise SystemExit(f"{collected.failed} fails with nothing broken")
        self._fork.items, self._fork.functions = [], {}
        _forget_the_program()
        rest = [number for number, key in enumerate(self._keys) if self.noticed.get(key) is None]
        self._take(self._fork.try_import, rest, progress)

    def _take(
        self, attempt: Callable[[_Trial], str | None], numbers: Sequence[int], progress: Callable[[str], None]
    ) -> None:
        for number, test in _in_forks(attempt, map(self._trial, numbers), self._jobs):
            if number == 0 and test is not None:
                raise SystemExit(f"{test} fails in a fork with nothing broken")
            self.noticed[self._keys[number]] = test
            progress(f"{self._keys[number]}: {test or 'not yet noticed'}")

    def _trial(self, number: int) -> _Trial:
        path = f"{self._fork.mutations[number].path} "
        seen = {**self._known, **self.noticed}
        here = Counter(test for key, test in seen.items() if test and key.startswith(path))
        first = [self._known.get(self._keys[number]), *(test for test, _ in here.most_common(3))]
        return _Trial(number, [test for test in dict.fromkeys(first) if test and "::" in test])


_NOTHING = "(nothing broken)"


def _nothing_broken() -> Mutation:
    path = "dragonfly/release.py"
    return Mutation(path, 0, "", True, _NOTHING, ast.parse((ROOT / path).read_text()), lambda: None)


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the process' exit code: 0 where every mutation is noticed or explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", help="files of the program to break; all of them unless given")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many are tried at once")
    parser.add_argument("--survivors", action="store_true", help="only those that no test noticed last time")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    paths: list[str] = options.files or sorted(str(path) for path in Path("dragonfly").rglob("*.py"))
    found = _by_key(one for path in paths for one in mutations(path, (ROOT / path).read_text()))
    known: dict[str, str | None] = json.loads(LIST.read_text()) if LIST.exists() else {}
    if options.survivors:
        found = {key: one for key, one in found.items() if known.get(key) is None}
    course = _Course(found, known, options.jobs)
    # Beside pytest's capture of this process' output.
    with os.fdopen(os.dup(2), "w", buffering=1) as terminal:
        try:
            course.run(lambda line: print(line, file=terminal))
        finally:
            known.update(course.noticed)
            LIST.parent.mkdir(exist_ok=True)
            LIST.write_text(json.dumps(known, indent=1))

    reasons = read_reasons()
    faults = 0
    for key, mutation in found.items():
        test, reason = course.noticed[key], reasons.get(key)
        fault = (test is None) == (reason is None)
        faults += fault
        said = f"noticed by {test}" if test else f"explained: {reason}" if reason else "SURVIVED"
        print(f"{mutation.path}:{mutation.line} {key.partition(' ')[2]}: {said}")
    for key in reasons.keys() - found.keys() if not options.files and not options.survivors else ():
        faults += 1
        print(f"A REASON FOR NOTHING: {key}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
