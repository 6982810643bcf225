"""The command-line tools and servers: found on the machine, or built once."""
