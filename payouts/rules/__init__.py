"""Plain Python on plain values: what a partner is, what it offers, what its share is and when it becomes money."""
