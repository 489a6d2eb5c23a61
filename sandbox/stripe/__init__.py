"""A Stripe of our own: an HTTP server in a process of its own, which the real SDK reaches by base address."""
