"""Where clusters and volumes can be, with which GPUs and drivers, and what is in stock there."""

from dataclasses import dataclass
from typing import Final

GPUS_PER_NODE: Final = 8
#: Every GPU type of the API (SDK 3.1.1); not every region has them.
GPU_TYPES: Final = (
    *("H100_SXM", "H200_SXM", "B200_SXM", "B300_SXM"),
    *("GB200_SXM", "H100_SXM_INF", "L40_PCIE", "RTX_6000_PCI"),
)


@dataclass(frozen=True)
class DriverVersion:
    """A pair of CUDA and NVIDIA driver that a region offers."""

    version_id: str
    os: str
    cuda_version: str
    nvidia_driver_version: str


@dataclass(frozen=True)
class Region:
    name: str
    stock: dict[str, int]  # GPU type -> GPUs that can be rented there at all
    drivers: tuple[DriverVersion, ...]

    def find_driver(self, version_id: str) -> DriverVersion | None:
        return next((driver for driver in self.drivers if driver.version_id == version_id), None)

    def find_pair(self, cuda_version: str, driver_version: str) -> DriverVersion | None:
        """Return the pair; a CUDA version may carry its operating system (`12.5-ubuntu-22.04`)."""
        for driver in self.drivers:
            names = {driver.cuda_version, f"{driver.cuda_version}-{driver.os}"}
            if cuda_version in names and driver_version == driver.nvidia_driver_version:
                return driver
        return None


def _drivers(region: str, *pairs: tuple[str, str, str]) -> tuple[DriverVersion, ...]:
    return tuple(
        DriverVersion(f"{region}-{os}-cuda{cuda}-{driver}", os, cuda, driver) for os, cuda, driver in pairs
    )


_USUAL = (("ubuntu-22.04", "12.4", "550"), ("ubuntu-22.04", "12.6", "560"), ("ubuntu-24.04", "12.8", "570"))


def build_regions() -> dict[str, Region]:
    """Return the regions by name. Names and stock are believable inventions: the API tells no stock."""
    regions = (
        Region("us-central-8", {"H100_SXM": 1024, "H200_SXM": 256}, _drivers("us-central-8", *_USUAL)),
        Region("us-east-2", {"H100_SXM": 2048, "L40_PCIE": 128}, _drivers("us-east-2", *_USUAL[:2])),
        Region(
            "us-west-4",
            {"B200_SXM": 512, "B300_SXM": 0, "GB200_SXM": 0},
            _drivers("us-west-4", _USUAL[2], ("ubuntu-24.04", "13.0", "580")),
        ),
        Region("eu-north-1", {"H100_SXM": 512, "B200_SXM": 256}, _drivers("eu-north-1", *_USUAL[1:])),
    )
    return {region.name: region for region in regions}
