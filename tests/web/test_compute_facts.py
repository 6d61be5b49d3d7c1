"""What pages read of bodies of rented compute: GPUs and who pays them, sizes, phases, replicas. Pure."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api import payloads
from dashboard.web.compute.cluster_facts import GpuSplit, list_sizes, list_steps, read_cluster
from dashboard.web.compute.containers import read_container
from dashboard.web.compute.names import name_gpu, spell_phase
from dashboard.web.compute.rl_facts import list_session_checkpoints, read_queue_position
from tests.compute_factories import cluster_body, node_body, write_time
from tests.factories import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CLUSTER_FIELDS = sorted(payloads.Cluster.model_fields)
CONTAINER_FIELDS = sorted(payloads.Container.model_fields)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("InstallingDrivers", "Installing drivers"),
        ("RUNNING_NCCL_TESTS", "Running NCCL tests"),
        ("access_revoked", "Access revoked"),
        ("", ""),
    ],
)
def test_phases_in_words(text: str, words: str):
    assert spell_phase(text) == words


@pytest.mark.parametrize(("text", "words"), [("H100_SXM", "H100 SXM"), ("h100-80gb", "H100 80GB"), ("", "")])
def test_gpus_in_words(text: str, words: str):
    assert name_gpu(text) == words


@pytest.mark.parametrize(
    ("live", "prepaid", "preemptible", "parts"),
    [
        (16, 0, 0, (0, 0, 16)),
        (16, 16, 0, (16, 0, 0)),
        (24, 16, 0, (16, 0, 8)),
        (32, 16, 8, (16, 8, 8)),
        (8, 16, 8, (8, 0, 0)),
        (0, 16, 8, (0, 0, 0)),
    ],
)
def test_live_gpus_are_prepaid_first_then_preemptible(
    live: int, prepaid: int, preemptible: int, parts: tuple[int, int, int]
):
    split = GpuSplit(live, live, prepaid, preemptible, preemptible)

    assert (split.live_prepaid, split.live_preemptible, split.live_on_demand) == parts
    assert sum(parts) == live
    assert split.is_mixed is (sum(1 for part in parts if part) > 1)


@given(
    nodes=st.integers(1, 40),
    reserved_nodes=st.integers(0, 40),
    price=st.none() | st.integers(1, 10_000_000_000),
)
def test_sizes_are_whole_nodes_never_below_the_reserved_part(
    nodes: int, reserved_nodes: int, price: int | None
):
    reserved = 8 * min(nodes, reserved_nodes)
    split = GpuSplit(8 * nodes, 8 * nodes, reserved, 0, 0)

    sizes = list_sizes(split, reserved=reserved, nano_usd_per_gpu_hour=price)

    for size in sizes:
        assert size.gpus % 8 == 0
        assert size.gpus >= max(8, reserved)
        assert size.gpus != 8 * nodes
        assert size.billed == size.gpus - reserved
        if price is None:
            assert size.rate is size.change is None
        else:
            assert size.rate == size.billed * price
            assert size.change == (size.gpus - 8 * nodes) * price
    assert [size.gpus for size in sizes] == sorted({size.gpus for size in sizes})
    assert sizes[-1].gpus == 8 * nodes + 16 * 8


def transition(phase: str, minutes_ago: int) -> payloads.PhaseTransition:
    return payloads.PhaseTransition(
        phase=f"CLUSTER_PHASE_{phase}", transition_time=NOW - timedelta(minutes=minutes_ago)
    )


def test_the_way_ends_with_the_first_ready():
    told = [
        transition("WAITING_FOR_CONTROL_PLANE_NODES", 60),
        transition("READY", 30),
        transition("DEGRADED", 20),
        transition("READY", 10),
    ]

    steps = list_steps(told, state="Ready", now=NOW)

    assert [(step.word, step.state, step.lasted) for step in steps] == [
        ("Control plane", "done", timedelta(minutes=30)),
        ("Ready", "done", None),
    ]


def test_what_lies_ahead_follows_the_furthest_phase():
    steps = list_steps([transition("INSTALLING_DRIVERS", 5)], state="InstallingDrivers", now=NOW)

    assert [(step.word, step.state) for step in steps] == [
        ("Drivers", "now"), ("Tests", "ahead"), ("Ready", "ahead"),
    ]  # fmt: skip


def test_failed_tests_and_unknown_phases_keep_their_words():
    told = [transition("WARPING_SPACE", 9), transition("NCCL_TESTS_FAILED", 4)]

    steps = list_steps(told, state="NCCLTestsFailed", now=NOW)

    assert [(step.word, step.state) for step in steps] == [
        ("Warping space", "done"), ("NCCL failed", "failed"),
    ]  # fmt: skip


def test_undated_phases_make_no_way():
    assert list_steps([payloads.PhaseTransition(phase="CLUSTER_PHASE_READY")], state="Ready", now=NOW) == ()


def test_nodes_of_an_unknown_phase_count_as_live():
    body = cluster_body(gpu_worker_nodes=[node_body("a", "HIBERNATING"), node_body("b", "PAUSED")])

    facts = read_cluster(body, remote_id="c", now=NOW)

    assert [(node.status.word, node.is_live) for node in facts.nodes] == [
        ("Unknown", True),
        ("Paused", False),
    ]
    assert facts.gpus.live == 8


def test_of_two_phases_of_one_moment_the_later_listed_counts():
    at = write_time(NOW - timedelta(hours=1))
    phases = [{"phase": f"NODE_PHASE_{one}", "transition_time": at} for one in ("PENDING", "RUNNING")]

    facts = read_cluster(
        cluster_body(gpu_worker_nodes=[node_body("a", phase_transitions=phases)]), remote_id="c", now=NOW
    )

    assert (facts.nodes[0].status.word, facts.gpus.live) == ("Running", 8)


@given(body=st.dictionaries(st.sampled_from(CLUSTER_FIELDS), JSON, max_size=6))
def test_no_body_of_a_cluster_breaks_its_page(body: dict[str, object]):
    facts = read_cluster(body, remote_id="c", now=NOW)

    assert facts.gpus.live >= 0


@given(body=st.dictionaries(st.sampled_from(CONTAINER_FIELDS), JSON, max_size=6))
def test_no_body_of_a_container_breaks_its_page(body: dict[str, object]):
    facts = read_container(body, remote_id="c")

    assert facts.ready_words
    assert facts.bounds_words


@given(
    body=st.dictionaries(
        st.sampled_from(["training_checkpoints", "inference_checkpoints", "status_details"]), JSON
    )
)
def test_no_body_of_a_session_breaks_its_page(body: dict[str, object]):
    list_session_checkpoints(body)
    read_queue_position(body)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (None, ("fixed", "no autoscaling is told")),
        ({"metric": "HTTPTotalRequests", "target": 400, "time_interval_minutes": 10},
         ("on requests", "400 requests in 10 min")),
        ({"metric": "QueueBacklogPerWorker", "target": 1.01},
         ("on the queue per worker", "1.01 jobs per worker")),
        ({"metric": "CustomMetric", "custom_metric_name": "queue_depth"},
         ("on a metric of its own", "the default target of queue_depth")),
        ({"metric": "Moonphase", "target": 3}, ("on Moonphase", "3")),
    ],
)  # fmt: skip
def test_scaling_in_words(rule: dict[str, object] | None, words: tuple[str, str]):
    facts = read_container({} if rule is None else {"autoscaling": rule}, remote_id="c")

    assert (facts.scaling, facts.scaling_detail) == words


@pytest.mark.parametrize(
    ("body", "ready", "bounds"),
    [
        ({}, "not told", "bounds not told"),
        ({"ready_replicas": 0, "desired_replicas": 0, "min_replicas": 0, "max_replicas": 4},
         "no replica", "0 to 4 replicas"),
        ({"ready_replicas": 1, "desired_replicas": 3, "min_replicas": 2, "max_replicas": 2},
         "1 of 3 ready", "2 replicas"),
        ({"ready_replicas": 2}, "2 of 2 ready", "bounds not told"),
    ],
)  # fmt: skip
def test_replicas_in_words(body: dict[str, object], ready: str, bounds: str):
    facts = read_container(body, remote_id="c")

    assert (facts.ready_words, facts.bounds_words) == (ready, bounds)
