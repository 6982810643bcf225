"""Dragonfly on Kubernetes: `pulumi up` makes a GKE cluster, unless the stack names an existing one, and installs it."""

import gc
import signal

import pulumi

from dragonfly.access.existing_cluster import existing_cluster
from dragonfly.gke.cloud_monitoring import CloudMonitoring
from dragonfly.gke.cluster import GkeCluster
from dragonfly.gke.containerd_config import containerd_config
from dragonfly.google.location import stack_location
from dragonfly.release import Dragonfly
from dragonfly.settings.stack_config import read_settings
from dragonfly.updates.immutable_config import KeptConfig

# The engine interrupts the program when an update fails. Python's own handler would print a traceback over the reason,
# and wait for its threads until the engine kills it, five seconds later.
signal.signal(signal.SIGINT, signal.SIG_DFL)
# The SDKs' classes are loaded as they are used. Looking for garbage takes a fifth of that time, and finds next to none.
gc.disable()

settings = read_settings()
kept = KeptConfig("config", settings)
gke = GkeCluster("gke", settings, kept) if settings.provision_cluster else None
provider = gke.provider if gke else existing_cluster(settings)
dragonfly = Dragonfly(
    "dragonfly", settings, kept, gke.provisioned if gke else None, pulumi.ResourceOptions(providers=[provider])
)
if settings.has_alert_policies:
    CloudMonitoring("cloud-monitoring", settings, stack_location(settings.cluster_location), [dragonfly])

pulumi.export("namespace", dragonfly.namespace)
pulumi.export("consoleUrl", dragonfly.console_url)
pulumi.export("portForwardCommand", dragonfly.port_forward_command)
pulumi.export("mysqldExporterAddress", dragonfly.mysqld_exporter_address)
pulumi.export("redisExporterAddress", dragonfly.redis_exporter_address)
pulumi.export("images", dragonfly.images)
pulumi.export("consoleRootPassword", dragonfly.credentials.console_root_password)
pulumi.export("dbRootPassword", dragonfly.credentials.db_root_password)
pulumi.export("dbUserPassword", dragonfly.credentials.db_user_password)
pulumi.export("dbExporterPassword", dragonfly.credentials.db_exporter_password)
pulumi.export("redisPassword", dragonfly.credentials.redis_password)
if dragonfly.upgrade_snapshots:
    pulumi.export("upgradeSnapshot", dragonfly.upgrade_snapshots[-1].name)
if gke:
    pulumi.export("kubeconfig", gke.kubeconfig)
    pulumi.export("getCredentialsCommand", gke.get_credentials_command)
    pulumi.export("applicationLink", gke.application_link(dragonfly.namespace, settings.names.app))
elif settings.registry_mirrors:
    pulumi.export("containerdConfig", containerd_config(settings))
