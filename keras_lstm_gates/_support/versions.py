"""The versions of packages."""

import importlib
import importlib.metadata


def versions(*packages):
    """{package: version}, as the package itself states it.

    A nightly Keras or TensorFlow is a distribution of another name, `keras-nightly`, with the same import name.

    Example:
        >>> import numpy
        >>> versions("numpy")["numpy"] == numpy.__version__
        True
    """
    return {package: _version(package) for package in packages}


def _version(package):
    module = importlib.import_module(package.replace("-", "_"))
    return getattr(module, "__version__", None) or importlib.metadata.version(package)
