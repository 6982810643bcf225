"""What Dragonfly's programs read when they start."""
