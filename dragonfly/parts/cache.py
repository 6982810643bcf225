"""What a peer or a seed peer keeps of the images that went through it. It can be fetched again."""

CACHE_SIZE_LIMIT = "30Gi"
"""Of the volume: a pod beyond it is evicted, with all that it has cached."""

CACHE_SIZE_GIB = 20
"""From this size on 2.1 drops what was used least recently, but it looks only now and then: downloads need room."""

CLIENT_CACHE_GIB = 24
"""What the client takes at most: it refuses what would go beyond, and the node asks the registry for that itself."""

CLIENT_FULL_PERCENT, CLIENT_FREED_PERCENT = 75, 60
"""Of these. It frees the rest before there is no room for a layer of some gigabytes."""

TASK_LIFETIME = "6h"
"""After which what nobody asked for is dropped in any case: the cache shares the node's boot disk with images and logs.

Written as Go and Rust's humantime both read it.
"""
