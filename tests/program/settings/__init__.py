"""What a stack may say."""
