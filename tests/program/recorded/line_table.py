"""The table of what differs between the release lines, from what the program declares: `make line-table` writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from dragonfly.lines.known_lines import line_of
from tests.program.recorded.known_stacks import DEFAULT_CONFIG, LINE_2_5_CONFIG
from tests.program.recorded.recorded_program import RecordedProgram, run_main
from tests.project.pages import DOCS, with_table

PAGE = DOCS / "dragonfly-2.5.md"
COMPONENTS = {"manager": "manager", "scheduler": "scheduler", "seed peer": "seed-peer", "peer": "dfget"}
MARK = "lines"


def line_programs() -> dict[str, RecordedProgram]:
    """Return the program of each release line, with every other default."""
    return {
        line_of(program.setting("tag", "2.1.34")).name: program
        for program in map(run_main, (DEFAULT_CONFIG, LINE_2_5_CONFIG))
    }


def line_table(programs: Mapping[str, RecordedProgram]) -> str:
    """Return the rows in which lines differ, as Markdown."""
    lines = ["| | " + " | ".join(programs) + " |", "| --- " * (len(programs) + 1) + "|"]
    for title, name in COMPONENTS.items():
        for what, cell in _CELLS.items():
            cells = [cell(program, name) for program in programs.values()]
            if len(set(cells)) > 1:
                lines.append(_row(f"{title}: {what}", cells))
    # The peers' files have nothing in common.
    for name in ("manager", "scheduler"):
        keys = [_keys(program, name) for program in programs.values()]
        shared = {key for key in keys[0] if all(key in each for each in keys)}
        lines.append(_row(f"{name}: keys that only its config has", [_code(sorted(each - shared)) for each in keys]))
    return "\n".join(lines)


def _row(title: str, cells: Iterable[str]) -> str:
    return f"| {title} | " + " | ".join(each or "-" for each in cells) + " |"


def _container(program: RecordedProgram, name: str) -> dict[str, Any]:
    return program.pod(f"-{name}").containers[0]


def _image(program: RecordedProgram, name: str) -> str:
    return f"`{_container(program, name)['image']}`"


def _command(program: RecordedProgram, name: str) -> str:
    command = cast("list[str]", _container(program, name)["command"])
    return f"`{' '.join(command[command.index('--') + 1 :])}`"


def _waits_for(program: RecordedProgram, name: str) -> str:
    command = cast("list[str]", _container(program, name)["command"])
    return _code(command[command.index("wait-for") + 1 : command.index("--")])


def _ports(program: RecordedProgram, name: str) -> str:
    return _code(
        f"{port['name']} {int(port['containerPort'])}{'/UDP' if port.get('protocol') == 'UDP' else ''}"
        for port in _container(program, name)["ports"]
    )


def _requests(program: RecordedProgram, name: str) -> str:
    return _code(sorted(f"{what} {size}" for what, size in _container(program, name)["resources"]["requests"].items()))


def _keys(program: RecordedProgram, name: str) -> set[str]:
    """Return the keys of the config file, with the path of each."""
    data = program.object("Secret", f"-{name}-config").manifest["stringData"]
    return set(_paths(yaml.safe_load(str(next(iter(data.values()))))))


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _paths(inner, f"{path}.{key}" if path else key)
    else:
        yield path


def _keep_alive(program: RecordedProgram, name: str) -> str:
    text = next(iter(program.object("Secret", f"-{name}-config").manifest["stringData"].values()))
    found = re.search(r"keepAlive:\n\s+interval: (\w+)", str(text))
    return f"`{found[1]}`" if found else ""


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


_CELLS: Mapping[str, Callable[[RecordedProgram, str], str]] = {
    "image": _image,
    "command": _command,
    "waits for": _waits_for,
    "ports": _ports,
    "requests": _requests,
    "tells the manager that it is there every": _keep_alive,
}


def main(page: Path = PAGE) -> None:
    """Write the table into the page."""
    page.write_text(with_table(page.read_text(), MARK, line_table(line_programs())))


if __name__ == "__main__":
    main()
