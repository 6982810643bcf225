"""What the stand-in cloud holds, and would bill for."""
