"""What the tests of readers share."""

import pytest
from opening import keras2


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The files that tf-keras wrote: `opening.keras2.Files`."""
    pytest.importorskip("tf_keras")
    return keras2.Files(tmp_path_factory.mktemp("keras2"))
