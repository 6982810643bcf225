"""What is played where the real one cannot be had."""
