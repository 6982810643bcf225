"""How a tool is built, from a Go module or from a crate."""
