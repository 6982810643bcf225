"""What the shells in containers run, and what they print."""
