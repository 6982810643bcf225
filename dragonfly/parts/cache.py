"""What a peer or a seed peer keeps of the images that went through it. It can be fetched again."""

CACHE_SIZE_GIB = 20
"""From this size on it drops what was used least recently ..."""

CACHE_SIZE_LIMIT = "30Gi"
"""... but it looks only now and then, and a pod beyond its volume's limit is evicted: downloads need room meanwhile."""

TASK_LIFETIME = "6h"
"""After which what nobody asked for is dropped in any case: the cache shares the node's boot disk with images and logs.

Written as Go and Rust's humantime both read it.
"""
