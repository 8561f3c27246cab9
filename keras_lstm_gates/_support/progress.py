"""How far a long work is, as a bar or for a function of the caller's."""

import keras


def reporter(progress, total, unit="step"):
    """A function that is called with the number of parts done.

    Args:
        progress: True shows a bar, False shows nothing; a function is returned as it is.
        total: int or None, how many there are.
        unit: str, what a part is called.
    """
    if callable(progress):
        return progress
    if not progress:
        return lambda done: None
    bar = keras.utils.Progbar(total, unit_name=unit)
    return lambda done: bar.update(done, finalize=done == total)
