"""Revenue metrics as arithmetic on plain values: what recurs, how it moved, and what follows from that."""
