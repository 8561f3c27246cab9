"""TensorFlow's operations between the layers of a Keras 2 model, as operations of Keras 3."""

import inspect

import keras

from keras_lstm_gates.opening.readers.functions import FUNCTIONS


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class TensorFlowOperation(keras.Operation):
    """One of TensorFlow's operations, by its name in `FUNCTIONS`; a mask ends at it, as in Keras 2.

    Args:
        function: str, a key of `FUNCTIONS`.

    Raises:
        ValueError: "expected an operation of ...; received 'random.normal'".

    Example:
        >>> TensorFlowOperation("math.add")(keras.ops.ones(2), 1).numpy().tolist()
        [2.0, 2.0]
    """

    def __init__(self, function, name=None):
        super().__init__(name=name)
        if function not in FUNCTIONS:
            raise ValueError(f"expected an operation of {', '.join(FUNCTIONS)}; received {function!r}")
        self.function = function

    def call(self, *args, **kwargs):
        return FUNCTIONS[self.function](*args, **kwargs)

    def get_config(self):
        return {"function": self.function, "name": self.name}


def keywords(function, given):
    """The keyword arguments of a call without those that are off and that Keras 3 need not take.

    Args:
        function: str, a key of `FUNCTIONS`.
        given: dict, as Keras 2 wrote them.
    """
    taken = inspect.signature(FUNCTIONS[function]).parameters
    return {
        key: value
        for key, value in given.items()
        if key in taken or not (key == "name" or value is None or value is False or (key, value) == ("batch_dims", 0))
    }


def refusal(function, calls):
    """Why an operation cannot be translated, or None.

    Args:
        function: str, its name in TensorFlow.
        calls: list of the keyword arguments of its calls.
    """
    if not isinstance(function, str) or function not in FUNCTIONS:
        return f"is {function!r} of TensorFlow, which is not translated"
    signature = inspect.signature(FUNCTIONS[function])
    for given in calls:
        taken = keywords(function, given)
        for key, value in taken.items():
            if key not in signature.parameters:
                return f"is {function!r} of TensorFlow with {key}={value!r}, which is not translated"
        try:
            signature.bind(None, **taken)
        except TypeError:
            return f"is {function!r} of TensorFlow, whose other operands Keras 2 did not write down"
    return None
