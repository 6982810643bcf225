"""Which plug-ins the engine finds, and that nobody takes a played cloud's for Google's."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console

from local.engine import plugin_choice
from local.engine.plugin_choice import GOOGLE_CLOUD, Plugin, lay_out, provide_plugins
from local.engine.stack import Engine, LocalStack
from local.tools import toolchain
from local.tools.catalog import TOOLS

QUIET = Console(quiet=True)
DOWNLOADS = """#!/bin/sh
# plugin install resource NAME VERSION --reinstall
echo "$4" >>"{asked}"
case "{served}" in *$4*)
    mkdir -p "$PULUMI_HOME/plugins/resource-$4-v$5"
    echo "$4 of the makers" >"$PULUMI_HOME/plugins/resource-$4-v$5/pulumi-resource-$4" ;;
*) exit 1 ;;
esac
"""


def test_the_plug_in_built_here_is_the_release_that_the_sdk_fetches() -> None:
    assert TOOLS["kubernetes-plugin"].version == f"v{metadata.version('pulumi-kubernetes')}"


def _pulumi(folder: Path, served: str) -> tuple[Path, Path]:
    """Return a CLI that downloads only what is named, and the file with what it was asked for."""
    program, asked = folder / "pulumi", folder / "asked"
    program.write_text(DOWNLOADS.format(asked=asked, served=served))
    program.chmod(0o755)
    asked.touch()
    return program, asked


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what a build of the Kubernetes plug-in leaves; the cache is empty."""
    program = tmp_path / "built" / "pulumi-resource-kubernetes"

    def provide(names: object, console: Console) -> dict[str, Path]:
        return {program.name: program}

    monkeypatch.setenv("DRAGONFLY_LOCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain, "provide", provide)
    return program


def test_the_makers_own_are_preferred(tmp_path: Path, built: Path) -> None:
    pulumi, asked = _pulumi(tmp_path, "kubernetes random")
    plugins = {plugin.name: plugin.executable for plugin in provide_plugins(pulumi, {}, QUIET)}
    assert {package: file.read_text() for package, file in plugins.items()} == {
        "kubernetes": "kubernetes of the makers\n",
        "random": "random of the makers\n",
    }
    asked.write_text("")
    provide_plugins(pulumi, {}, QUIET)
    assert asked.read_text() == ""


def test_what_is_refused_is_built_or_played_and_not_asked_for_again(tmp_path: Path, built: Path) -> None:
    pulumi, asked = _pulumi(tmp_path, "nothing")
    for _ in range(2):
        plugins = {plugin.name: plugin.executable for plugin in provide_plugins(pulumi, {}, QUIET)}
        assert plugins == {"kubernetes": built, "random": GOOGLE_CLOUD.executable}
    assert sorted(asked.read_text().split()) == ["kubernetes", "random"]


def test_one_of_two_can_be_had(tmp_path: Path, built: Path) -> None:
    pulumi, asked = _pulumi(tmp_path, "random")
    for _ in range(2):
        plugins = {plugin.name: plugin.executable for plugin in provide_plugins(pulumi, {}, QUIET)}
        assert plugins["kubernetes"] == built
        assert plugins["random"].read_text() == "random of the makers\n"
    assert sorted(asked.read_text().split()) == ["kubernetes", "random"]


def test_another_executable_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)
        plugin = Plugin.of_package("random", tmp_path / name)
        lay_out(tmp_path, [plugin])
        assert (tmp_path / plugin.path).read_text() == name
    assert metadata.version("pulumi-random") in plugin.path


def test_only_stacks_with_a_played_cloud_find_what_plays_it(tmp_path: Path) -> None:
    engine = Engine({}, tmp_path)
    played = LocalStack(engine, "dev", None).environment()
    other = LocalStack(engine, "local", tmp_path / "kubeconfig").environment()
    assert (Path(played["PULUMI_HOME"]) / GOOGLE_CLOUD.path).exists()
    assert list(Path(other["PULUMI_HOME"]).rglob("*gcp*")) == []
    assert str(plugin_choice.CLOUD_COMMANDS) in played["PATH"]
    assert str(plugin_choice.CLOUD_COMMANDS) not in other["PATH"]
