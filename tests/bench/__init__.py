"""`make bench`: how fast this is, beside what the same server does at its floor in the same minutes."""
