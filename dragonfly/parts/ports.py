"""TCP ports that the installed software listens on, where the stack's config does not choose them.

The numbers are the defaults of Dragonfly 2.1, of the click-to-deploy images and of the two exporters. The peers on the
nodes' own network take theirs from the config: see `Settings.peer_port` and its neighbours.
"""

LOOPBACK = "127.0.0.1"

MANAGER_REST = 8080
MANAGER_GRPC = 65003
SCHEDULER_GRPC = 8002

SEED_PEER_GRPC = 65006
SEED_PEER_PROXY = 65007
SEED_PEER_UPLOAD = 65008
SEED_PEER_HEALTH = 40902

# Manager, scheduler and seed peer each have a network namespace of their own, so one number serves all three.
METRICS = 8000

MYSQL = 3306
MYSQLD_EXPORTER = 9104
REDIS = 6379
REDIS_EXPORTER = 9121
