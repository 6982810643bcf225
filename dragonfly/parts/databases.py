"""What Dragonfly's programs find in MySQL and Redis."""

from enum import IntEnum

DATABASE = "dragonfly"
USER = "dragonfly"


class RedisDatabase(IntEnum):
    """Numbers of the logical databases that Dragonfly uses."""

    CACHE = 0
    BROKER = 1
    BACKEND = 2
    NETWORK_TOPOLOGY = 3
