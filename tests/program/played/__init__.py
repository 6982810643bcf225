"""What is played for the program: an API server, the CLI, a hook."""
