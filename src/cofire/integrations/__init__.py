"""Other frameworks, each in its own file."""
