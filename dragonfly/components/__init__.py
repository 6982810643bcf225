"""The programs of an installation, each with everything that belongs to it."""
