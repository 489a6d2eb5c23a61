"""The marketplace as the staff sees it."""
