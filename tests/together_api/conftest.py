"""A simulator whose clock moves only when told, for one module, and a client of it."""

from collections.abc import Iterator

import pytest

from dashboard.together_api.client import TogetherClient
from dashboard.together_api.config import ApiConfig
from simulator.testing import SimulatorProcess


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(scenario="demo", clock="virtual") as simulator:
        yield simulator


@pytest.fixture
def simulator(running: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield running
    running.clear_faults()


@pytest.fixture
def client(simulator: SimulatorProcess) -> Iterator[TogetherClient]:
    with TogetherClient(ApiConfig("sim-key", base_url=simulator.url)) as client:
        yield client
