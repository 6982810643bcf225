"""What is true of the repository as a whole: its pages, rooms and workflows."""
