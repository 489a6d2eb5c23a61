"""One module for each peer. They are run by the peer's own Python and import nothing of Counterfoil, except its own."""
