"""How much memory a file from others may ask for."""

FREE_BYTES = 2**30
"""So much a file may declare, whatever it holds."""

MOST_TIMES = 1000
"""Beyond that it may declare so many times what it holds: equal numbers are compressed about so far."""


def check(declared, stored):
    """Raise a `ValueError` where a file declares arrays that take far more memory than it can hold numbers for.

    Args:
        declared: int, bytes in memory of all its arrays.
        stored: int, bytes of the file.

    Example:
        >>> check(declared=2**40, stored=4096)
        Traceback (most recent call last):
        ValueError: expected arrays of up to 1,073,741,824 bytes; received 1,099,511,627,776 declared and 4,096 stored
    """
    most = max(FREE_BYTES, MOST_TIMES * stored)
    if declared > most:
        raise ValueError(
            f"expected arrays of up to {most:,} bytes; received {declared:,} declared and {stored:,} stored"
        )
