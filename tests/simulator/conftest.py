from collections.abc import Iterator

import pytest

from tests.simulator.sim import Sim


@pytest.fixture
def sim() -> Iterator[Sim]:
    """An empty organisation, transitions at full length, time standing still."""
    with Sim() as sim:
        yield sim


@pytest.fixture(scope="module")
def demo() -> Iterator[Sim]:
    """The demo organisation; tests that share it only read."""
    with Sim("demo") as demo:
        yield demo
