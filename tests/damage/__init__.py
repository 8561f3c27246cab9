"""Thousands of damaged and foreign files through every reader: `python -m damage` in tests/, or `make fuzz`."""
