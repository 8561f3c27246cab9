"""The names of TFDS's data sets."""

import re

from keras_lstm_gates._support.files import part_of_path


def checked(name):
    """The name itself, where TFDS finds the folder of its prepared data below its own.

    Args:
        name: str, such as "japanese_vowels" or "glue/cola:2.0.0".

    Raises:
        ValueError: as `part_of_path`: "expected a data set with a name that stays in its folder, ...".

    Example:
        >>> checked("glue/cola:2.0.0")
        'glue/cola:2.0.0'
        >>> checked("../downloads/glue")
        Traceback (most recent call last):
        ValueError: expected a data set with a name that stays in its folder, ...; received '..'
    """
    for part in re.split("[/:]", name):
        part_of_path(part, "a data set")
    return name
