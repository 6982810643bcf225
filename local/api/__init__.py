"""How a cluster is asked, and what its refusals mean."""
