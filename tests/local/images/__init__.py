"""Container images that are built or pulled."""
