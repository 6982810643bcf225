"""Where the time goes, and what an installation takes of a machine."""
