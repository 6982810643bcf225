"""The nodes of a local cluster, of one kind or the other."""
