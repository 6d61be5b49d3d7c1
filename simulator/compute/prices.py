"""Prices in USD of what no catalogue of the API tells. Each is exact and holds for all time.

Official rate cards were not found (contract section 14), so these lie where third parties put them or are believable.
"""

from fractions import Fraction
from typing import Final

#: GPU type -> (on demand, reserved) per GPU-hour. A third party (8 May 2026, low trust) tells the ranges 3.49-7.49 and
#: 2.99-7.15; the order of the types within them is an invention.
CLUSTER_GPU_HOUR: Final = {
    "H100_SXM": (Fraction("3.49"), Fraction("2.99")),
    "H100_SXM_INF": (Fraction("3.49"), Fraction("2.99")),
    "H200_SXM": (Fraction("4.19"), Fraction("3.69")),
    "B200_SXM": (Fraction("6.79"), Fraction("6.25")),
    "B300_SXM": (Fraction("7.49"), Fraction("7.15")),
    "GB200_SXM": (Fraction("7.49"), Fraction("7.15")),
    "L40_PCIE": (Fraction("3.49"), Fraction("2.99")),
    "RTX_6000_PCI": (Fraction("3.49"), Fraction("2.99")),
}
#: Preemptible nodes are "cheaper" (SDK 3.1.1, num_preemptible_gpus); how much is an invention.
PREEMPTIBLE_SHARE: Final = Fraction(6, 10)
#: Shared storage per TiB and month of 730 hours: no source; 0.16 per GiB.
VOLUME_TIB_MONTH: Final = Fraction("163.84")
#: Container GPU type -> per GPU-hour: no source; the v2 dedicated prices, a MIG slice at half.
CONTAINER_GPU_HOUR: Final = {
    "h100-80gb": Fraction("5.49"),
    "h100-40gb-mig": Fraction("2.745"),
    "h200-140gb": Fraction("6.65"),
    "b200-192gb": Fraction("8.99"),
}
#: RL GPU type -> per GPU-hour: no source; the v2 dedicated prices.
RL_GPU_HOUR: Final = {"H100-80GB": Fraction("5.49"), "B200-SXM": Fraction("8.99")}


def gpu_name(gpu_type: str) -> str:
    """Return the GPU as product names show it: `H100_SXM` and `h100-80gb` are both `H100`."""
    return gpu_type.replace("_", "-").split("-", maxsplit=1)[0].upper()
