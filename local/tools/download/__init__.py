"""Tools from the release pages of their projects, checked against the checksums that are published there."""
