"""The nightly comparison with the processor, and with the books themselves (S87 to S89)."""
