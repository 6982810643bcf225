"""Stand-ins for Pulumi's resource plug-ins that cannot be downloaded, or must not be used because they cost money.

The engine starts `stand-in` under the name of the plug-in that it plays; each serves one package over gRPC. They follow
the behaviour of pulumi-random 4.21 and pulumi-gcp 10.2 as far as a program can see it, so that no program depends on
them. Google Cloud is always played (`local/standins/cloud/`); `cloud-commands/` has what a played cloud needs on the
PATH.
"""
