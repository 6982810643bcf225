"""The stand-in for pulumi-gcp: its provider, the kinds of resources, and what the real plug-in's schema says."""
