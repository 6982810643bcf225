"""What is declared of Google Cloud."""
