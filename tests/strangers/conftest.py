"""The worker of a test file, and the folders that it reads."""

import functools

import pytest


@pytest.fixture(scope="package")
def process():
    """A worker that has built layers of its own before, and knows nothing of the models it is given."""
    from strangers.process import Process

    process = Process()
    yield process
    process.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A case's name to the folder in which its models and data stand."""
    from strangers import subjects

    @functools.lru_cache(maxsize=1)
    def save(name):
        folder = tmp_path_factory.mktemp(name)
        subjects.save(subjects.built(name), folder)
        return str(folder)

    return save
