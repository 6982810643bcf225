"""How a pod is made: its program, disk, probes, security and mounted config."""
