"""What the program declares and says, with mocks in the place of the engine and the cloud."""
