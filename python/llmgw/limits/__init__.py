"""What one worker accepts at once."""
