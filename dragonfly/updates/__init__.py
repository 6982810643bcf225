"""What an update may not do to an installed stack, and what it waits for."""
