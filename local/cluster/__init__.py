"""A Kubernetes cluster on this machine: its control plane, and the volumes of its claims.

Not one of kwokctl's, `kwokctl create cluster --runtime binary`. Tried with the same programs (v0.8.0, beside other
work), it is Ready a little sooner, after 8 s and not 10 to 14. But its etcd lets in whoever comes and listens on every
address of the machine, as its API server does, and neither volumes nor nodes that run containers come with it.
"""
