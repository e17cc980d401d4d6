"""Two questions: who is this address, and where does its mail go next."""
