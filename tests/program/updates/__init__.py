"""What an update may do to what is installed."""
