"""The format of microcontrollers: C++ sources of one step."""
