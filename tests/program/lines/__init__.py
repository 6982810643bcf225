"""What each release line of Dragonfly reads when it starts."""
