"""Stand-ins for Pulumi's resource plug-ins, for machines that cannot download the real ones or must not use them.

`bin/` and `cloud-bin/` hold the executables that the engine starts; each serves one package over gRPC. They follow the
behaviour of pulumi-kubernetes 4.34, pulumi-random 4.21 and pulumi-gcp 10.2 as far as a program can see it, so that no
program depends on them. Google Cloud is always played (`local/cloud/`), with the real plug-ins at hand too.
"""
