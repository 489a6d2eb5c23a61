"""From the door to the effect: receiving, claiming, processing, catching up, replaying."""
