"""How the cluster is reached: by the plug-in that makes objects, and by the client that looks."""
