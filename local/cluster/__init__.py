"""A Kubernetes cluster on this machine: its control plane, and the volumes of its claims."""
