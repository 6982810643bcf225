"""Compute Engine's persistent disks, and what StorageClasses stand for them in a new GKE cluster."""

# GKE documentation, "About persistent volumes".
DISK_TYPES = {
    "standard": "pd-standard",
    "standard-rwo": "pd-balanced",
    "premium-rwo": "pd-ssd",
}

# Compute Engine's greatest persistent disk.
MOST_GIBIBYTES = 64 * 1024
