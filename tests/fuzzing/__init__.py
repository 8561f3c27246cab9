"""Thousands of damaged and foreign files through every reader: `python -m fuzzing` in tests/, or `make fuzz`."""
