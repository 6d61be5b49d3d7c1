"""What a price is of, and how people call it."""

import pytest

from billing.skus import (
    Direction,
    Unit,
    cluster_sku,
    deployment_sku,
    describe_sku,
    token_sku,
    unify_sku,
    unit_of,
)


@pytest.mark.parametrize(
    ("sku", "name", "unit"),
    [
        (deployment_sku("v2", "1xnvidia-h100-80gb"), "v2 endpoint, 1 × H100 80GB", Unit.REPLICA),
        (deployment_sku("v1", "2x_nvidia_h100_80gb_sxm"), "v1 endpoint, 2 × H100 80GB SXM", Unit.REPLICA),
        (deployment_sku("v2", "strange"), "v2 endpoint, strange", Unit.REPLICA),
        (cluster_sku("H100_SXM", is_reserved=False), "GPU cluster, H100 SXM, on demand", Unit.GPU),
        (cluster_sku("B200_SXM", is_reserved=True), "GPU cluster, B200 SXM, reserved", Unit.GPU),
        ("cluster/H100_SXM/SCHEDULED", "GPU cluster, H100 SXM, SCHEDULED", Unit.GPU),
        ("volume", "Shared volume", Unit.TIB),
        ("container/h100-80gb", "Container, H100 80GB", Unit.GPU),
        ("container/cpu", "Container, CPU only", Unit.GPU),
        ("rl/Qwen/Qwen3-32B/B200-SXM/0", "RL resources, Qwen/Qwen3-32B, B200 SXM, trainer only", Unit.SET),
        ("rl/Qwen/Qwen3-32B//2", "RL resources, Qwen/Qwen3-32B, 2 generators", Unit.SET),
        (token_sku("Qwen/Qwen3-32B", Direction.INPUT), "Qwen/Qwen3-32B, input tokens", Unit.MILLION_TOKENS),
        (token_sku("a/b", Direction.CACHED), "a/b, cached input tokens", Unit.MILLION_TOKENS),
        ("something new", "something new", Unit.OTHER),
    ],
)
def test_name_and_unit(sku, name, unit):
    assert describe_sku(sku) == name
    assert unit_of(sku) is unit


def test_hardware_that_is_not_told_has_no_sku():
    assert deployment_sku("v2", "") == ""


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("v2/1xnvidia-h100-80gb", "v2/1xH100-80GB", True),
        ("v2/1xnvidia-h100-80gb", "v1/1xnvidia-h100-80gb", False),
        ("v2/1xnvidia-h100-80gb", "v2/2xnvidia-h100-80gb", False),
        ("tokens/nvidia-a/input", "tokens/a/input", False),
    ],
)
def test_spellings_of_one_size_are_one_sku(one, other, is_same):
    assert (unify_sku(one) == unify_sku(other)) is is_same
