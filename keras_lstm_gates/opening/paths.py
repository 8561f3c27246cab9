"""The names of an LSTM's calls: one path for a call, everywhere; made here and nowhere else.

lstm                    a layer of the model
lstm@2                  its second call, of a layer that is shared
bidirectional/forward   a direction, after the way it reads: forward or backward
stack/0                 a cell of `StackedRNNCells`
encoder/lstm            a layer of a nested model
words/lstm              a layer below `TimeDistributed`
"""


class Paths:
    """The paths of the calls of one graph, given out as the calls are met.

    Args:
        names: the names of the graph's layers, none of which a second call may take.

    Example:
        >>> paths = Paths(["lstm", "lstm@2"])
        >>> paths.next("lstm"), paths.next("lstm"), paths.next("lstm@2")
        ('lstm', 'lstm@3', 'lstm@2')
    """

    def __init__(self, names):
        self._names = set(names)
        self._calls = {}

    def next(self, name):
        """The path of the next call of a layer."""
        number = self._calls.get(name, 0) + 1
        while number > 1 and numbered(name, number) in self._names:
            number += 1
        self._calls[name] = number
        return numbered(name, number)


def numbered(path, number):
    """The path of a layer's first, second, ... call."""
    return path if number == 1 else f"{path}@{number}"


def direction(path, layer):
    """The path of a direction of a `Bidirectional`; either of its layers may be the one that reads backwards."""
    return below(path, "backward" if layer.go_backwards else "forward")


def below(path, inner):
    """The path of something within a layer: a layer of a nested model, a direction, the number of a cell."""
    return f"{path}/{inner}"


def outermost(path):
    """The part of a path that names a layer of the model itself.

    Example:
        >>> outermost("encoder@2/lstm")
        'encoder@2'
    """
    return path.partition("/")[0]


def layer_name(path):
    """The name of the model's own layer that a path goes through, whichever its call.

    Example:
        >>> layer_name("encoder@2/lstm"), layer_name("lstm@odd")
        ('encoder', 'lstm@odd')
    """
    name, _, number = outermost(path).rpartition("@")
    return name if name and number.isdigit() else outermost(path)


def within(path, chosen):
    """Whether a path is a chosen one, or leads to or comes from it.

    Example:
        >>> within("encoder", "encoder/lstm"), within("encoder/lstm", "encoder"), within("enc", "encoder")
        (True, True, False)
    """
    return path == chosen or path.startswith(f"{chosen}/") or chosen.startswith(f"{path}/")
