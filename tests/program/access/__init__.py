"""How the cluster is reached, and what a user gets to know of it."""
