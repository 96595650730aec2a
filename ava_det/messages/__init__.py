"""What is said to people: warnings on stderr, and numbers with their nouns."""
