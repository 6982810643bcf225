"""What a machine without a cloud has in its place."""
