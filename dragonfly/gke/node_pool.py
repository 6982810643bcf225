"""The nodes: one pool of its own, since a cluster's default pool cannot be changed without replacing the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_gcp import container

from dragonfly.settings.model import Settings

# The only scope: what a node may do is decided by its account's roles.
OAUTH_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_POOL_NAME = "dragonfly"
_SPOT_POOL_NAME = "dragonfly-spot"


def node_pool(
    settings: Settings,
    cluster: container.Cluster,
    *,
    project: str,
    zones: pulumi.Input[Sequence[str]] | None,
    node_account: pulumi.Input[str],
    registry_hosts: pulumi.Input[Sequence[container.NodePoolNodeConfigContainerdConfigRegistryHostArgs]] | None,
    disk_size_gib: int,
    opts: pulumi.ResourceOptions,
) -> container.NodePool:
    """Declare the pool.

    Args:
        settings: machine type, number of nodes.
        cluster: the cluster that it belongs to.
        project: the cluster's project.
        zones: of its nodes, where the cluster is regional.
        node_account: e-mail address of the nodes' service account.
        registry_hosts: mirrors of the nodes' containerd; None for none.
        disk_size_gib: of each node's boot disk.
        opts: parent of the pool and what it waits for.
    """
    autoscaling = settings.node_autoscaling
    nodes = autoscaling.min if autoscaling else settings.node_count
    # The autoscaler changes the numbers that it started with, and another initial one would replace the pool. They are
    # declared all the same, and kept: a pool that takes another's place must not start without nodes.
    autoscalers = ["initialNodeCount", "nodeCount"] if autoscaling else ["initialNodeCount"]
    return container.NodePool(
        "node-pool",
        # A pool cannot change between the two kinds of machines. The new one comes first, and needs a name of its own.
        name=_SPOT_POOL_NAME if settings.spot else _POOL_NAME,
        project=project,
        location=cluster.location,
        cluster=cluster.name,
        node_locations=zones,
        node_count=nodes,
        initial_node_count=nodes,
        autoscaling=container.NodePoolAutoscalingArgs(min_node_count=autoscaling.min, max_node_count=autoscaling.max)
        if autoscaling
        else None,
        management=container.NodePoolManagementArgs(
            # A node whose kubelet hangs is made anew.
            auto_repair=True,
            # A node that is never upgraded keeps every hole that was found since.
            auto_upgrade=True,
        ),
        # Every change of the nodes brings a new one first and drains the old one after: none is missing meanwhile.
        upgrade_settings=container.NodePoolUpgradeSettingsArgs(strategy="SURGE", max_surge=1, max_unavailable=0),
        network_config=container.NodePoolNetworkConfigArgs(
            # A node with a public address can be attacked from anywhere.
            enable_private_nodes=True,
        ),
        node_config=container.NodePoolNodeConfigArgs(
            machine_type=settings.node_machine_type,
            # Cheaper machines, which Google takes back with 30 seconds' notice: only where the stack asks for them.
            spot=settings.spot,
            # Images and the peer's cache are on it: pd-standard is slower than the network, and pd-ssd costs more for
            # speed that a pull does not use.
            disk_type="pd-balanced",
            disk_size_gb=disk_size_gib,
            # Google builds and patches it: its root is read-only and verified at boot, and it has no package manager
            # by which an attacker could stay.
            image_type="COS_CONTAINERD",
            # The default account may edit the whole project: every pod that escapes to its node could.
            service_account=node_account,
            oauth_scopes=OAUTH_SCOPES,
            metadata={
                # The old endpoints of the metadata server give out tokens without the header that a forged request
                # (SSRF) cannot set.
                "disable-legacy-endpoints": "true",
            },
            workload_metadata_config=container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                # Otherwise every pod could ask the metadata server for the node's own credentials. Those on the node's
                # own network still can, the peers among them: what they get is what the account's roles allow.
                mode="GKE_METADATA",
            ),
            shielded_instance_config=container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                # A changed boot loader or kernel (a rootkit) does not start.
                enable_secure_boot=True,
                # One that starts nevertheless shows in the integrity reports.
                enable_integrity_monitoring=True,
            ),
            # Image streaming stays off: it fetches images past the mirror.
            containerd_config=_without_mirrors()
            if registry_hosts is None
            else container.NodePoolNodeConfigContainerdConfigArgs(registry_hosts=registry_hosts),
        ),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                ignore_changes=autoscalers,
                # The plug-in would delete first, also where the name changes, and leave no node for the pods.
                delete_before_replace=False,
            ),
        ),
    )


def _without_mirrors() -> container.NodePoolNodeConfigContainerdConfigArgs:
    # Left out, the block would stay as it was, and nodes would go on asking a peer that is gone. It takes another
    # setting to replace it: the API drops an empty list, which then would be a change in every preview.
    return container.NodePoolNodeConfigContainerdConfigArgs(
        private_registry_access_config=container.NodePoolNodeConfigContainerdConfigPrivateRegistryAccessConfigArgs(
            enabled=False
        )
    )
