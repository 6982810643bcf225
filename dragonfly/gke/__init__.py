"""A cluster of the stack: its network, nodes, disks and rights."""
