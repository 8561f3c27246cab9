"""The versions of the packages that something was made with."""

import importlib
import importlib.metadata


def versions(*packages):
    """{package: version}, as the package itself says it.

    A nightly Keras or TensorFlow is another distribution, `keras-nightly`, under the same name to import.

    Example:
        >>> import numpy
        >>> versions("numpy")["numpy"] == numpy.__version__
        True
    """
    return {package: _version(package) for package in packages}


def _version(package):
    module = importlib.import_module(package.replace("-", "_"))
    return getattr(module, "__version__", None) or importlib.metadata.version(package)
