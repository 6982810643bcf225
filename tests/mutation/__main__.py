"""Break every deliberate value of the program once, and tell which unit test notices: `python -m tests.mutation`.

What was found out is kept as it comes: a run that was ended goes on where it was as long as neither the program nor a
test changes, and after that the tests that noticed last time are asked first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutation.broken_program import ROOT, warm_up
from tests.mutation.mutations import Mutation, mutations
from tests.mutation.reasons import read_reasons
from tests.mutation.search import Search

_RESULTS = ROOT / ".local" / "mutations.jsonl"


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
    last = _last_results()
    noticed = {key: test for key, (test, when) in last.items() if key in found and (options.survivors or when == state)}
    print(f"{len(found)} mutations, of which {len(noticed)} are known to be noticed", flush=True)

    _RESULTS.parent.mkdir(exist_ok=True)
    with _RESULTS.open("a", buffering=1) as results:

        def tell(key: str, test: str) -> None:
            noticed[key] = test
            results.write(json.dumps([key, test, state]) + "\n")
            print(f"{len(noticed)} of {len(found)}: {key}: {test}", flush=True)

        search = Search({key: one for key, one in found.items() if key not in noticed}, warm_up(), tell)
        for key, test in noticed.items():
            search.remember(found[key], test)
        search.ask_again({key: test for key, (test, _) in last.items()})
        search.ask_likely()
        search.ask_all(lambda line: print(line, flush=True))
    return _report(found, noticed, whole=not options.files)


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
    for folder in ("dragonfly", "tests/unit", "tests/mutation"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _last_results() -> dict[str, tuple[str, str]]:
    """Return by the mutation's key what noticed it last time, and the state of the code then."""
    lines = _RESULTS.read_text().splitlines() if _RESULTS.exists() else []
    return {key: (test, state) for key, test, state in map(json.loads, lines)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
