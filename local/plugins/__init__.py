"""Stand-ins for Pulumi's resource plug-ins, for machines that cannot download the real ones.

`bin/` holds the executables that the engine starts; each serves one package over gRPC. They follow the behaviour of
pulumi-kubernetes 4.34 and pulumi-random 4.21 as far as a program can see it, so that no program depends on them.
"""
