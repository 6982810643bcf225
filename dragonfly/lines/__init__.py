"""What differs between the release lines of Dragonfly, each in a file of its own."""
