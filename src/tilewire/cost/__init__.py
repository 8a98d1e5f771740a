"""Cost: counted events x technology. Every objective explains itself; a missing constant makes it null and is named."""
