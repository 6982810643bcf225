"""Dragonfly on Google Kubernetes Engine as Pulumi component resources."""
