"""The proofs at full size: `make soak`."""
