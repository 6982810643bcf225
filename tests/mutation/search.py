"""Finds out which test notices which mutation, with far fewer runs than one for each pair of them.

The test that noticed a mutation last time is asked first. All that are left then are broken at once, and each file of
tests is asked: where none of its tests fails, it notices none of them; where one fails, each half is asked in its turn.
What comes out is what a single mutation was noticed by. Two that hide each other could seem to survive; hence those
that take something out, those that turn a condition round and those that change a value are three groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.mutation.broken_program import Outcome, outcome
from tests.mutation.mutations import Mutation

# So small a group is not halved: the one run that may spare the others is not worth it.
_SMALL = 3


class Search:
    """What is known of some mutations."""

    def __init__(
        self, mutations: Mapping[str, Mutation], unbroken: Mapping[str, Outcome], tell: Callable[[str, str], None]
    ) -> None:
        """Begin.

        Args:
            mutations: by key; those of one file follow one another.
            unbroken: what came of each file of tests with nothing broken.
            tell: is given each mutation's key and what noticed it, as soon as it is known.
        """
        self._left = dict(mutations)
        self._unbroken = unbroken
        self._tell = tell

    @property
    def left(self) -> Sequence[str]:
        """The keys of those that nothing noticed so far."""
        return list(self._left)

    def ask_again(self, noticed: Mapping[str, str]) -> None:
        """Ask what noticed a mutation last time."""
        tests = {test for file, one in self._unbroken.items() for test in (file, *one.tests)}
        for key in self.left:
            test = noticed.get(key, "").partition(" (")[0]
            if test in tests:
                self._ask(test, [key])

    def ask_all(self, progress: Callable[[str], None]) -> None:
        """Ask every file of tests; first those with the most tests for their time."""
        for file in sorted(
            self._unbroken, key=lambda file: self._unbroken[file].seconds / len(self._unbroken[file].tests)
        ):
            progress(f"{file} is asked of {len(self._left)}")
            for kind in dict.fromkeys(one.kind for one in self._left.values()):
                self._search(file, [key for key, one in self._left.items() if one.kind == kind])

    def _search(self, file: str, keys: Sequence[str]) -> None:
        if keys and self._ask(file, keys) and len(keys) > 1:
            for part in _parts(keys):
                self._search(file, part)

    def _ask(self, test: str, keys: Sequence[str]) -> bool:
        """Return whether a test, or one of a file, notices; tell it of a single mutation."""
        seconds = 60 + 20 * self._unbroken[test.partition("::")[0]].seconds
        failed = outcome(test, [self._left[key] for key in keys], seconds).failed
        if failed and len(keys) == 1:
            del self._left[keys[0]]
            self._tell(keys[0], failed)
        return failed is not None


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    size = 1 if len(keys) <= _SMALL else (len(keys) + 1) // 2
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
