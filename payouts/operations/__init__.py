"""The only writers of this app: lock, read, let a rule decide, append the event."""
