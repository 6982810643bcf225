"""Local nodes that run containers: each a machine of its own made of Linux namespaces, with containerd and kubelet."""
