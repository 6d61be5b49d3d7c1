"""Pure parts: labels, evidence lines, totals, lanes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.core import status
from dashboard.lifecycle.evidence import Facts, weigh
from dashboard.lifecycle.receipts import OpenAct
from dashboard.lifecycle.verdicts import Concern
from dashboard.mirror.querysets import StatusGroup
from dashboard.mirror.timeline import Edge
from dashboard.web import lanes
from dashboard.web.evidence_lines import describe_evidence
from dashboard.web.labels import describe_replicas, format_count, format_rate, shorten_hardware, shorten_model
from dashboard.web.rows import choose_status
from dashboard.web.totals import CHOICES, Totals
from tests.factories import NOW


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("4xnvidia-h100-80gb", "4× H100"),
        ("1x_nvidia_h100_80gb_sxm", "1× H100"),
        ("8xnvidia-b200-192gb", "8× B200"),
        ("2x amd-mi300x-192gb", "2× MI300X"),
        ("1x_nvidia_l40s_48gb", "1× L40S"),
        ("something else", "something else"),
        ("", ""),
    ],
)
def test_hardware_is_said_short(name: str, short: str):
    assert shorten_hardware(name) == short


def test_small_words():
    assert shorten_model("openai/gpt-oss-120b") == "gpt-oss-120b"
    assert describe_replicas(2, 3, low=1, high=5) == "2/3 ready"
    assert describe_replicas(None, None, low=1, high=2) == "1–2 replicas"
    assert describe_replicas(None, None, low=1, high=1) == "1 replica"
    assert describe_replicas(None, None, low=None, high=None) == ""
    assert (format_rate(212.4), format_rate(0.4), format_rate(0)) == (
        "212 req/min",
        "0.4 req/min",
        "0 req/min",
    )
    assert (format_count(118_402), format_count(31_600_000)) == ("118,402", "31.6 M")


def lines_of(
    state: status.Status,
    *,
    rate: float | None = None,
    idle_minutes: int = 1,
    read: bool | timedelta = True,
    **more,
):
    age = read if isinstance(read, timedelta) else timedelta(minutes=1)
    facts = Facts(
        status=state.value,
        ready_since=NOW - timedelta(hours=9),
        last_request_at=NOW - timedelta(minutes=idle_minutes),
        traffic_read_until=NOW - age if read else None,
        generation=more.pop("generation", "v2"),
    )
    defaults = {
        "status_since": NOW - timedelta(minutes=6),
        "last_request_at": facts.last_request_at,
        "requests_per_minute": rate,
        "ready": (1, 1),
        "failure": "",
    }
    return describe_evidence(weigh(facts, now=NOW), state=state, now=NOW, **(defaults | more))


def test_use_is_said_as_a_rate():
    assert lines_of(status.RUNNING, rate=212).lead == "212 req/min"
    assert lines_of(status.RUNNING, rate=0, idle_minutes=4).lead == "last request 4 min ago"


def test_idle_is_amber_and_keeps_its_proof():
    lines = lines_of(status.RUNNING, idle_minutes=47)

    assert (lines.lead, lines.rest, lines.tone) == ("idle 47 min", ": last request 11:13", "amber")


def test_unread_traffic_is_never_idle():
    lines = lines_of(status.RUNNING, idle_minutes=600, read=False)

    assert lines.lead == "traffic unknown"
    assert lines.tone == "quiet"


def test_a_sentence_is_not_cut_inside_a_clock_time():
    lines = lines_of(status.RUNNING, idle_minutes=600, read=timedelta(hours=1))

    assert (lines.lead, lines.sub) == ("traffic unknown since 11:00", "counts as active")


def test_v1_has_no_signal():
    assert lines_of(status.RUNNING, generation="v1").lead == "no traffic signal"


def test_what_rests_or_moves_says_since_when():
    assert lines_of(status.STARTING).lead == "starting for 6 min"
    assert lines_of(status.STARTING).sub == "not billed until ready"
    assert lines_of(status.STOPPED).lead == "stopped 6 min ago"
    assert lines_of(status.STOPPING).sub == "ready replicas are billed"
    failed = lines_of(status.FAILED, failure="out of memory")
    assert (failed.lead, failed.sub, failed.tone) == ("out of memory", "failed 6 min ago; not billed", "red")


def test_missing_replicas_are_counted():
    assert lines_of(status.DEGRADED, rate=88, ready=(1, 2)).sub == "1 of 2 replicas ready"


def act(kind: str, state: str) -> OpenAct:
    import uuid

    return OpenAct(
        public_id=uuid.uuid4(),
        number="R-1",
        kind=kind,
        kind_label=kind,
        title="bot",
        target_name="bot",
        state=state,
        endpoint_id=1,
        deployment_id=1,
        resource_id=None,
        requested_at=NOW,
        sent_at=None,
        seen_state="",
        last_error="",
        concern=Concern.NONE,
    )


def test_stopping_is_said_only_once_a_stop_has_left_us_and_stopped_never():
    choose = lambda mirrored, *acts: choose_status(mirrored, is_idle=False, acts=acts)  # noqa: E731

    assert choose(status.RUNNING, act("stop", "requested")) is status.RUNNING
    assert choose(status.RUNNING, act("stop", "sent")) is status.STOPPING
    assert choose(status.RUNNING, act("scale", "sent")) is status.RUNNING
    assert choose(status.STOPPED, act("stop", "sent")) is status.STOPPED
    assert choose_status(status.RUNNING, is_idle=True, acts=()) is status.IDLE


# What an endpoint can be: what its deployments' states read as, or nothing to read.
ENDPOINT_STATUSES = {*status.BY_STATE.values(), status.EMPTY, status.UNKNOWN}
groups = st.lists(
    st.builds(
        lambda value, is_idle, count, low, more, unpriced: StatusGroup(
            value, is_idle and value == "running", count, count, low, low + more, unpriced
        ),
        st.sampled_from(sorted(one.value for one in ENDPOINT_STATUSES)),
        st.booleans(),
        st.integers(0, 1000),
        st.integers(0, 10**14),
        st.integers(0, 10**14),
        st.integers(0, 5),
    ),
    max_size=20,
)


@given(groups)
def test_chips_partition_everything(found: list[StatusGroup]):
    totals = Totals(tuple(found))
    by_chip = [totals.of_choice(choice) for choice in CHOICES]

    assert sum(one.count for one in by_chip) == totals.everything().count
    assert sum(one.burn.high for one in by_chip) == totals.everything().burn.high
    assert sum(one.burn.low for one in by_chip) == totals.everything().burn.low
    assert totals.idle().count <= totals.serving().count


def edge(hours_ago: float, state: str) -> Edge:
    return Edge(NOW - timedelta(hours=hours_ago), f"DEPLOYMENT_STATE_{state}", 1, "event")


def test_a_lane_sums_what_was_billable_and_names_what_rested():
    found = lanes.build_lanes(
        {1: [edge(40, "PROVISIONING"), edge(39.5, "READY"), edge(20, "STOPPED"), edge(3, "READY")]},
        ends={},
        now=NOW,
    )

    assert [lane.label for lane in found][-3:] == ["Wed 18", "Thu 19", "Today"]
    assert [lane.total for lane in found][-3:] == ["3 h 30 min", "16 h 00 min", "3 h 00 min"]
    assert found[0].total == "no record"


def test_two_deployments_are_rolled_up_into_one_lane():
    found = lanes.build_lanes(
        {1: [edge(6, "READY")], 2: [edge(6, "STOPPED"), edge(2, "FAILED")]}, ends={}, now=NOW
    )

    assert [span.role for span in found[-1].spans] == ["run", "idle"]  # degraded beside a failed one
    assert found[-1].total == "6 h 00 min"


def test_a_vanished_deployment_ends_its_line():
    found = lanes.build_lanes({1: [edge(6, "READY")]}, ends={1: NOW - timedelta(hours=4)}, now=NOW)

    assert found[-1].total == "2 h 00 min"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 400), st.sampled_from(["READY", "STOPPED", "FAILED", "SCALING", "HIBERNATING"])
        ),
        max_size=30,
    )
)
def test_spans_never_overlap_and_stay_inside_the_window(raw: list[tuple[float, str]]):
    edges = sorted((edge(hours, state) for hours, state in raw), key=lambda one: one.at)
    found = lanes.build_lanes({1: edges}, ends={}, now=NOW)

    assert len(found) == lanes.DAYS
    for lane in found:
        ends = 0.0
        for span in lane.spans:
            assert span.x >= ends - 0.02
            ends = span.x + span.width
        assert ends <= 1000.02
    assert lanes.first_day(NOW) == datetime(2026, 11, 13, tzinfo=UTC)
