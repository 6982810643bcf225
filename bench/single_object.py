"""The program with a single object that `make bench` compares previews with: Pulumi runs it as `__main__.py`.

Its imports are the whole program's, so that what is compared is what the objects cost, not what Python's modules do.
"""

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

import dragonfly.release  # noqa: F401  # pyright: ignore[reportUnusedImport]
from dragonfly.access.existing_cluster import existing_cluster
from dragonfly.settings.stack_config import read_settings

random.RandomPassword("word", length=24)
kubernetes.core.v1.ConfigMap(
    "one",
    metadata={"name": "bench-one"},
    data={"a": "b"},
    opts=pulumi.ResourceOptions(provider=existing_cluster(read_settings())),
)
