"""The commands, stacks, plug-ins and nodes of this machine."""
