"""Dragonfly on Kubernetes: `pulumi up` installs it into the cluster that the stack's config names."""

import pulumi

from dragonfly.existing_cluster import existing_cluster
from dragonfly.release import Dragonfly
from dragonfly.settings import Settings

settings = Settings.load()
cluster = existing_cluster(settings)
dragonfly = Dragonfly("dragonfly", settings, pulumi.ResourceOptions(providers=[cluster]))

pulumi.export("namespace", dragonfly.namespace)
pulumi.export("consoleUrl", dragonfly.console_url)
pulumi.export("portForwardCommand", dragonfly.port_forward_command)
pulumi.export("mysqldExporterAddress", dragonfly.mysqld_exporter_address)
pulumi.export("redisExporterAddress", dragonfly.redis_exporter_address)
pulumi.export("images", dragonfly.images)
pulumi.export("dbRootPassword", dragonfly.credentials.db_root_password)
pulumi.export("dbUserPassword", dragonfly.credentials.db_user_password)
pulumi.export("dbExporterPassword", dragonfly.credentials.db_exporter_password)
pulumi.export("redisPassword", dragonfly.credentials.redis_password)
