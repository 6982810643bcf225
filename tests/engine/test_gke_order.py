"""That an empty ledger proves the order of deletion: a program that breaks it leaves its disks there.

With the program as it is, `test_gke_stack.py` and `test_gke_interruption.py` find the ledger empty.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from local.stack import PROJECT_FOLDER, Engine
from tests.engine.cloud_stacks import cloud_stacks, disks

# The claims leave their disks to the cluster, and the cluster goes first.
BROKEN_ORDER = f"""\
import sys

sys.path.insert(0, {str(PROJECT_FOLDER)!r})

import pulumi

from dragonfly.gke import GkeCluster
from dragonfly.immutable_config import KeptConfig
from dragonfly.release import Dragonfly
from dragonfly.settings import Settings

settings = Settings.load()
kept = KeptConfig("config", settings)
gke = GkeCluster("gke", settings, kept)


def ends_with_cluster(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    if not args.type_.startswith("kubernetes:"):
        return None
    options = pulumi.ResourceOptions(deleted_with=gke.provisioned.resource)
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, options))


Dragonfly(
    "dragonfly",
    settings,
    kept,
    None,
    pulumi.ResourceOptions(providers=[gke.provider], transformations=[ends_with_cluster]),
)
"""


def test_disks_whose_cluster_goes_first_stay_in_the_ledger(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGONFLY_CLOUD_SECONDS", "0.1")
    shutil.copyfile(PROJECT_FOLDER / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    (tmp_path / "__main__.py").write_text(BROKEN_ORDER)
    with cloud_stacks(replace(engine, project=tmp_path)) as make:
        # Who mirrors registries has nothing to do with disks.
        stack = make("broken-order", registryMirrors="[]")
        stack.output("up", "--yes", "--skip-preview")
        before = disks(stack.ledger)
        assert len(before) == 2
        stack.output("destroy", "--yes", "--skip-preview")
        assert not stack.has_resources()
        assert stack.ledger.billed() == sorted(before)
