"""The writers of subscriptions: lock the organization, pass what is due, let a rule decide, append, project."""
