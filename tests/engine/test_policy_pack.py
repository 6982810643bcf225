"""The policy pack, run by the engine over the program and over broken resources."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.engine.plugin_choice import Plugin, lay_out
from local.engine.stack import Engine, LocalStack, StackError
from local.machine.paths import PROJECT_FOLDER
from tests.engine.cloud_stacks import CloudStackFactory, configure, failure_of
from tests.engine.conftest import StackFactory
from tests.policy.broken_resources import BROKEN, SOUND

PACK = PROJECT_FOLDER / "policy"

# Declares what a file lists, without the SDKs of the resources: their types would keep some of it from being broken.
PROGRAM = """
import json
import pathlib
import signal

import pulumi

# As the program: the engine interrupts what it has refused.
signal.signal(signal.SIGINT, signal.SIG_DFL)
for name, each in json.loads(pathlib.Path("resources.json").read_text()).items():
    pulumi.CustomResource(each["type"], name, each["properties"], pulumi.ResourceOptions(protect=each["protect"]))
"""

LEAK = """
import pulumi

password = pulumi.CustomResource(
    "random:index/randomPassword:RandomPassword", "password", {"length": 20, "result": None}
)
data = {"config.yaml": pulumi.Output.unsecret(password.result).apply("password: {}".format)}
pulumi.CustomResource("kubernetes:core/v1:ConfigMap", "leak", {"metadata": {"name": "leak"}, "data": data})
"""


@pytest.fixture(scope="module")
def pack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack, to be started by an executable of ours.

    The language host that can be had here starts a pack as a program, which waits for a caller for ever; the CLI's own
    starts it as this executable does.
    """
    folder = tmp_path_factory.mktemp("pack")
    copy = Path(shutil.copytree(PACK, folder / "policy", ignore=shutil.ignore_patterns("venv", "__pycache__")))
    project = yaml.safe_load((copy / "PulumiPolicy.yaml").read_text())
    (copy / "PulumiPolicy.yaml").write_text(yaml.safe_dump({**project, "runtime": "pack"}))
    starter = folder / "start"
    starter.write_text(f'#!/bin/sh\nexec "{PACK}/venv/bin/python" -u -m pulumi.policy "$1" "$2"\n')
    starter.chmod(0o755)
    for home in (engine.home, engine.home_in_played_cloud):
        lay_out(home, [Plugin("policy-pack", "1.0.0", starter, "analyzer")])
    return copy


def said_of(printed: str) -> set[tuple[str, str]]:
    """Rule and resource of all that a run of the engine tells of the pack."""
    return {(rule, resource) for rule, resource in re.findall(r"\[mandatory\]  (\S+)  \(\S+: (\S+)\)", printed)}


def test_what_is_installed_breaks_no_rule(make_stack: StackFactory, pack: Path) -> None:
    stack = make_stack("pack", tag="2.5.1")
    # The passwords are known to the rules then.
    printed = stack.output("up", "--yes", "--skip-preview", "--policy-pack", str(pack))
    assert "✅ dragonfly@v" in printed
    assert said_of(printed) == set()


def test_what_switches_a_rule_of_the_program_off_is_told_at_preview(
    make_cloud_stack: CloudStackFactory, pack: Path
) -> None:
    stack = make_cloud_stack("pack-gke", deletionProtection=True)
    preview = ("preview", "--policy-pack", str(pack))
    assert said_of(stack.output(*preview)) == set()
    configure(stack, deletionProtection="false", networkPolicies="false")
    unprotected = {("deletion-protected", name) for name in ("cluster", "mysql-disk", "redis-disk")}
    unguarded = {
        ("network-policies", name) for name in ("manager", "mysql", "redis", "root-password", "scheduler", "seed-peer")
    }
    assert said_of(failure_of(stack, *preview)) == unprotected | unguarded
    config = pack.with_name("config.json")
    config.write_text(json.dumps({"deletion-protected": "advisory", "network-policies": "disabled"}))
    printed = stack.output(*preview, "--policy-pack-config", str(config))
    assert said_of(printed) == set()
    assert "[advisory]  deletion-protected  (gcp:container:Cluster: cluster)" in printed


@pytest.fixture
def other_project(engine: Engine, tmp_path: Path) -> Any:
    """Makes stacks of another program, whose objects are rendered into files and whose cloud is played."""

    def make(name: str, program: str, resources: dict[str, Any]) -> LocalStack:
        project = tmp_path / name
        project.mkdir()
        (project / "Pulumi.yaml").write_text("name: pack\nruntime: python\n")
        (project / "__main__.py").write_text(program)
        (project / "resources.json").write_text(json.dumps(resources))
        config = {"kubernetes:renderYamlToDirectory": str(tmp_path / f"{name}-rendered")}
        stack = LocalStack(replace(engine, project=project), name, None, config)
        stack.prepare()
        return stack

    return make


def test_each_rule_refuses_what_breaks_it(other_project: Any, pack: Path) -> None:
    # The played cloud has no disks of regions; the rule on them is tested without the engine.
    broken = {name: each for name, each in BROKEN.items() if name != "regional-disk"}
    stack = other_project("broken", PROGRAM, {name: asdict(each) for name, each in (SOUND | broken).items()})
    printed = failure_of(stack, "preview", "--policy-pack", str(pack))
    assert said_of(printed) == {(each.rule, name) for name, each in broken.items()}
    assert all(each.said in printed for each in broken.values())
    assert "hunter2" not in printed


def test_a_password_outside_a_secret_is_told_of_without_it(other_project: Any, pack: Path) -> None:
    stack = other_project("leak", LEAK, {})
    with pytest.raises(StackError) as failed:
        stack.output("up", "--yes", "--skip-preview", "--policy-pack", str(pack))
    assert said_of(str(failed.value)) == {("no-leaked-password", "leak")}
    resources = json.loads(stack.output("stack", "export", "--show-secrets"))["deployment"]["resources"]
    (leaked,) = [each["inputs"]["data"]["config.yaml"] for each in resources if each["type"].endswith(":ConfigMap")]
    assert leaked.removeprefix("password: ")
    assert leaked.removeprefix("password: ") not in str(failed.value)
