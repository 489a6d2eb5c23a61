"""Meters are made and archived here; events are recorded and corrected."""
