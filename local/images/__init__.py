"""The container images of an installation, for nodes that nothing leads out of: `make images`.

Where a registry can be reached, skopeo pulls them once, into an archive each in the cache of local tools,
`images/pulled`. Where none can, they are built here under the names that the program gives them, into one OCI archive,
`images/images.tar`, whose layers are shared, so that a node unpacks each file once; an archive whose inputs have not
changed is not built again. Nodes are given either with `ctr --namespace k8s.io images import`.

What is built:

- MySQL, Redis and their exporters are Debian's packages: MariaDB 10.11 under the names, variables and folders of the
  MySQL image, Redis 7.0, mysqld_exporter 0.14, redis_exporter 1.45.
- The four Dragonfly programs are a stand-in of our own, `local/go/dragonfly-standin`, which says so in its log: it
  reads the same config files, signs in to the same servers and listens on the same ports, but shares nothing.

`python -m local.images` pulls or builds them. To pull, Debian's `skopeo` is needed; to build, `mmdebstrap` and perhaps
root.
"""
