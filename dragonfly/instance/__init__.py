"""What all objects of one installation share."""
