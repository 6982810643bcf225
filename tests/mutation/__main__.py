"""Break every deliberate value of the program once, and tell which unit test notices: `python -m tests.mutation`.

What was found out is kept as it comes, in `noticed.jsonl`: a run that was ended goes on where it was as long as neither
the program nor a test changes, and after that the tests that noticed last time are asked first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.mutation.broken_program import ROOT, Outcome, warm_up
from tests.mutation.mutations import Mutation, mutations
from tests.mutation.reasons import read_reasons
from tests.mutation.search import Search

_RESULTS = Path(__file__).with_name("noticed.jsonl")
"""On each line a mutation's key, the test that noticed it, and the state of the code then."""

_STATE_LENGTH = 12


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the process' exit code: 0 where every mutation is noticed or explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", help="files of the program to break; all of them unless given")
    parser.add_argument("--survivors", action="store_true", help="only those that no test noticed last time")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    paths: list[str] = options.files or sorted(str(path) for path in Path("dragonfly").rglob("*.py"))
    found = _by_key(one for path in paths for one in mutations(path, (ROOT / path).read_text()))
    state = _state_of_the_code()
    known = _known(found, None if options.survivors else state)
    print(f"{len(found)} mutations, of which {len(known)} are known to be noticed", flush=True)
    left = [key for key in found if key not in known]
    if left:
        _ask_each_part({key: found[key] for key in left}, state)
    noticed = _known(found, None if options.survivors else state)
    if not options.files:
        # Of what is no mutation any more nothing is kept.
        _write([(key, test, state) for key, test in sorted(noticed.items())])
    return _report(found, noticed, whole=not options.files)


def _ask_each_part(left: Mapping[str, Mutation], state: str) -> None:
    """Ask about some mutations, a part of them on each processor; the parts keep together what stands together."""
    unbroken = warm_up()
    last = _last_results()
    parts = os.cpu_count() or 1
    keys = list(left)
    size = -(-len(keys) // parts)
    children: list[int] = []
    for start in range(0, len(keys), size):
        if (child := os.fork()) == 0:
            _ask({key: left[key] for key in keys[start : start + size]}, unbroken, last, state)
            os._exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(f"a process that asked ended with {os.waitstatus_to_exitcode(status)}")


def _ask(
    left: Mapping[str, Mutation], unbroken: Mapping[str, Outcome], last: Mapping[str, tuple[str, str]], state: str
) -> None:
    noticed = 0
    with _RESULTS.open("a", buffering=1) as results:

        def tell(key: str, test: str) -> None:
            nonlocal noticed
            noticed += 1
            results.write(_line(key, test, state))
            print(f"{noticed} of {len(left)}: {key}: {test}", flush=True)

        search = Search(left, unbroken, {key: test for key, (test, _) in last.items()}, tell)
        search.ask_again()
        search.ask_likely()
        search.ask_all(lambda line: print(line, flush=True))


def _report(found: dict[str, Mutation], noticed: dict[str, str], *, whole: bool) -> int:
    reasons = read_reasons()
    survivors = [key for key in found if key not in noticed and key not in reasons]
    needless = [key for key in reasons if key in noticed or (whole and key not in found)]
    for test, count in Counter(test.partition("::")[0] for test in noticed.values()).most_common():
        print(f"{count:5} noticed first by {test}")
    explained = len(found) - len(noticed) - len(survivors)
    print(f"{len(found)} mutations: {len(noticed)} noticed, {explained} explained, {len(survivors)} survived")
    for key in survivors:
        print(f"SURVIVED: line {found[key].line}: {key}")
    for key in needless:
        print(f"A REASON FOR {'WHAT IS NOTICED' if key in noticed else 'NOTHING'}: {key}")
    return 1 if survivors or needless else 0


def _by_key(found: Iterable[Mutation]) -> dict[str, Mutation]:
    """Return mutations by their keys; of those with one key the second and later are numbered."""
    count: Counter[str] = Counter()
    numbered: dict[str, Mutation] = {}
    for mutation in found:
        count[mutation.key] += 1
        number = count[mutation.key]
        numbered[mutation.key if number == 1 else f"{mutation.key} ({number})"] = mutation
    return numbered


def _state_of_the_code() -> str:
    digest = hashlib.sha256()
    code = (path for folder in ("dragonfly", "local", "bench", "tests") for path in Path(folder).rglob("*.py"))
    others = (*Path("tests/program").rglob("*.yaml"), *Path("dragonfly").rglob("*.sh"), Path("Pulumi.yaml"))
    for path in sorted((*code, *others, Path("__main__.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:_STATE_LENGTH]


def _last_results() -> dict[str, tuple[str, str]]:
    """Return by the mutation's key what noticed it last time, and the state of the code then."""
    lines = _RESULTS.read_text().splitlines() if _RESULTS.exists() else []
    return {key: (test, state) for key, test, state in map(json.loads, lines)}


def _known(found: Mapping[str, Mutation], state: str | None) -> dict[str, str]:
    """Return what noticed mutations: in a state of the code, or in any."""
    last = _last_results()
    return {key: last[key][0] for key in found if key in last and state in (None, last[key][1])}


def _write(results: Iterable[tuple[str, str, str]]) -> None:
    _RESULTS.write_text("".join(_line(*result) for result in results))


def _line(key: str, test: str, state: str) -> str:
    return json.dumps([key, test, state]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
