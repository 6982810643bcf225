"""Stacks that the tests look at. Each is run once; what it registered is never changed afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program.played.played_api_server import ApiServer, installed_api_server, stack_on
from tests.program.played.played_pulumi import PlayedPulumi
from tests.program.recorded.known_stacks import (
    CONFIGURED_CONFIG,
    CONFIGURED_LINE_2_5_CONFIG,
    DEFAULT_CONFIG,
    LINE_2_5_CONFIG,
    SECRET_KEYS,
)
from tests.program.recorded.recorded_program import RecordedProgram, run_main

# Half a million objects of the SDKs are made at import and never go: looking through them again and again takes a
# sixth of the time.
gc.disable()


def _run(config: dict[str, str]) -> RecordedProgram:
    return run_main(config, SECRET_KEYS).completed()


@pytest.fixture(scope="session")
def default_program() -> RecordedProgram:
    """The program with every default, in an existing cluster."""
    return _run(DEFAULT_CONFIG)


@pytest.fixture(scope="session")
def configured_program() -> RecordedProgram:
    """The program with every key of Dragonfly 2.1 set to something else than its default."""
    return _run(CONFIGURED_CONFIG)


@pytest.fixture(scope="session")
def configured_line_2_5_program() -> RecordedProgram:
    """The program with every key set to something else than its default."""
    return _run(CONFIGURED_LINE_2_5_CONFIG)


@pytest.fixture(scope="session", params=["default_program", "configured_program"])
def line_2_1_program(request: pytest.FixtureRequest) -> RecordedProgram:
    """Those with Dragonfly 2.1 in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def line_2_5_program() -> RecordedProgram:
    """The program with Dragonfly 2.5, and every other default."""
    return _run(LINE_2_5_CONFIG)


@pytest.fixture(scope="session", params=["default_program", "configured_program", "configured_line_2_5_program"])
def program(request: pytest.FixtureRequest) -> RecordedProgram:
    """Each of the three in turn, for rules that hold whatever the config says."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def previewed_program() -> RecordedProgram:
    """The program in the preview of a first installation, where nothing random is known."""
    return run_main(DEFAULT_CONFIG, preview=True).completed()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An API server that has an installation with nothing left to wish for."""
    with installed_api_server() as server:
        yield server


@pytest.fixture
def cli(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedPulumi:
    """The CLI, which tells a stack whose kubeconfig leads to that server."""
    played = PlayedPulumi(tmp_path, monkeypatch)
    played.answer(stack_on(api.url))
    return played
