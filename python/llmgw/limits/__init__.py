"""How much one worker accepts at once."""
