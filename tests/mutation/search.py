"""Finds out which test notices which mutation, with far fewer runs than one for each pair of them.

The test that noticed a mutation last time is asked first, then those that noticed others near it, with the one that
compares all that is declared. All that are left are broken at once, and each file of tests is asked: where none of its
tests fails, it notices none of them; where one fails, each half is asked in its turn.
What comes out is what a single mutation was noticed by. Two that hide each other could seem to survive; hence those
that take something out, those that turn a condition round and those that change a value are three groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.mutation.broken_program import Outcome, outcome
from tests.mutation.mutations import Mutation

# So small a group is not halved: the one run that may spare the others is not worth it.
_SMALL = 10
# How many of the tests that noticed most nearby are asked first; each takes a second.
_LIKELY = 2
_COMPARES_EVERYTHING = "tests/program/recorded/test_declarations.py"
# With nothing broken; each following one takes twice as long.
_FIRST_BUNDLE_SECONDS = 0.5


class Search:
    """What is known of some mutations."""

    def __init__(
        self,
        mutations: Mapping[str, Mutation],
        unbroken: Mapping[str, Outcome],
        last: Mapping[str, str],
        tell: Callable[[str, str], None],
    ) -> None:
        """Begin.

        Args:
            mutations: by key; those of one file follow one another.
            unbroken: what came of each file of tests with nothing broken.
            last: what noticed mutations last time, these and others, by key.
            tell: is given each mutation's key and what noticed it, as soon as it is known.
        """
        self._left = dict(mutations)
        self._unbroken = unbroken
        self._last = last
        self._tell = tell
        self._tests = {test for file, one in unbroken.items() for test in (file, *one.tests)}
        # How often each test noticed something, by place in the program.
        self._noticed: dict[str, Counter[str]] = {}
        for key, test in last.items():
            self._remember(key, test)

    @property
    def left(self) -> Sequence[str]:
        """The keys of those that nothing noticed so far."""
        return list(self._left)

    def ask_again(self) -> None:
        """Ask what noticed a mutation last time."""
        for key in self.left:
            test = _asked(self._last.get(key, ""))
            if test in self._tests:
                self._ask([test], [key])

    def _remember(self, key: str, test: str) -> None:
        """Count for which test is likely to notice what stands around a mutation."""
        for place in _places(key):
            self._noticed.setdefault(place, Counter())[_asked(test)] += 1

    def ask_likely(self) -> None:
        """Ask, of each mutation, the few tests that noticed most around it, and the one that compares everything."""
        compared = self._unbroken[_COMPARES_EVERYTHING].files
        for key in self.left:
            near = [self._noticed.get(place, Counter[str]()) for place in _places(key)]
            tests = sorted(near[0] | near[1], key=lambda test: [count[test] for count in near], reverse=True)
            likely = [test for test in tests if test in self._tests][:_LIKELY]
            if self._left[key].path in compared:
                likely.append(_COMPARES_EVERYTHING)
            if likely:
                self._ask(likely, [key])

    def ask_all(self, progress: Callable[[str], None]) -> None:
        """Ask every file of tests; first those with the most tests for their time."""
        for files in self._bundles():
            progress(f"of {len(self._left)} mutations are asked: {' '.join(files)}")
            for kind in dict.fromkeys(one.kind for one in self._left.values()):
                imported = {path for file in files for path in self._unbroken[file].files}
                self._search(
                    files, [key for key, one in self._left.items() if one.kind == kind and one.path in imported]
                )

    def _bundles(self) -> Iterator[Sequence[str]]:
        """Yield all files of tests, some at a time: what their fixtures share is made once for all of them."""
        files: list[str] = []
        seconds, most = 0.0, _FIRST_BUNDLE_SECONDS
        for file, one in sorted(self._unbroken.items(), key=lambda item: item[1].seconds / len(item[1].tests)):
            files.append(file)
            if (seconds := seconds + one.seconds) > most:
                yield files
                files, seconds, most = [], 0.0, 2 * most
        if files:
            yield files

    def _search(self, files: Sequence[str], keys: Sequence[str]) -> None:
        broken = {self._left[key].path for key in keys}
        concerned = [file for file in files if broken.intersection(self._unbroken[file].files)]
        if concerned and self._ask(concerned, keys) and len(keys) > 1:
            size = 1 if len(keys) <= _SMALL else (len(keys) + 1) // 2
            for start in range(0, len(keys), size):
                self._search(concerned, keys[start : start + size])

    def _ask(self, tests: Sequence[str], keys: Sequence[str]) -> bool:
        """Return whether one of some tests notices; tell it of a single mutation."""
        # Much longer than with nothing broken, on a machine that does other things too.
        seconds = 60 + 20 * sum(self._unbroken[test.partition("::")[0]].seconds for test in tests)
        failed = outcome(tests, [self._left[key] for key in keys], seconds).failed
        if failed and len(keys) == 1:
            del self._left[keys[0]]
            self._remember(keys[0], failed)
            self._tell(keys[0], failed)
        return failed is not None


def _places(key: str) -> Sequence[str]:
    """Return what is around a mutation, from near to far."""
    scope = key.partition(": ")[0]
    return scope, scope.partition(" ")[0]


def _asked(told: str) -> str:
    """Return the test that failed; what is told of it says besides if it did not end."""
    return told.partition(" (")[0]
