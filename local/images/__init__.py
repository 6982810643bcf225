"""The container images of an installation, for machines that reach no registry: `make images`.

Where a registry can be reached nothing of this is needed: containerd pulls what it does not have. Where none can, the
images are built here under the names that the program gives them, into one OCI archive in the cache of local tools,
`images/images.tar`, which `ctr --namespace k8s.io images import` takes. Its layers are shared, so that a node unpacks
each file once; an archive whose inputs have not changed is not built again.

- MySQL, Redis and their exporters are Debian's packages: MariaDB 10.11 under the names, variables and folders of the
  MySQL image, Redis 7.0, mysqld_exporter 0.14, redis_exporter 1.45.
- The four Dragonfly programs are a stand-in of our own, `local/go/dragonfly-standin`, which says so in its log: it
  reads the same config files, signs in to the same servers and listens on the same ports, but shares nothing.

`python -m local.images` builds it; root may be needed, and Debian's `mmdebstrap`.
"""
