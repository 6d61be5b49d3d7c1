"""The request budget as a pure machine on an injected clock (contract 1.6, fault 1)."""

import asyncio
import threading
import time

import httpx
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api.budget import BudgetPolicy, RequestBudget, budget_for
from tests.together_api.api_doubles import async_client_for

FOREVER = 1e9


def send_for(budget: RequestBudget, *, start: float, seconds: float) -> int:
    """Send ordinary requests one after another, as fast as the budget lets; return how many left in that time."""
    now, count = start, 0
    while True:
        wait = budget.reserve("normal", now=now, patience_seconds=FOREVER)
        assert wait is not None
        now += wait
        if now >= start + seconds:
            return count
        count += 1


def limited_budget(*, sent_per_second: int = 20, now: float = 100.0) -> RequestBudget:
    budget = RequestBudget()
    for index in range(sent_per_second * 10):
        budget.reserve("normal", now=now - 10 + index / sent_per_second, patience_seconds=FOREVER)
    budget.note_limited(now=now, retry_after_seconds=1)
    return budget


def test_nothing_waits_before_the_first_429():
    budget = RequestBudget()

    waits = {budget.reserve("normal", now=index / 5_000, patience_seconds=0) for index in range(50_000)}

    assert waits == {0.0}
    assert budget.look(now=11).rate_per_second is None


async def test_a_thousand_requests_at_concurrency_sixteen_never_sleep():
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client = async_client_for(lambda request: httpx.Response(200, json={"id": "d"}))
    client.transport._sleep = sleep
    gate = asyncio.Semaphore(16)

    async def one(index: int) -> None:
        async with gate:
            await client.get_deployment("p", "e", f"d{index}")

    await asyncio.gather(*(one(index) for index in range(1_000)))

    assert slept == []


def test_a_429_halves_what_was_being_sent():
    budget = limited_budget(sent_per_second=20)

    rate = budget.look(now=100.0).rate_per_second

    assert rate is not None
    assert 9 <= rate <= 11


def test_echoes_of_one_overload_decrease_once_and_later_429s_again():
    budget = limited_budget(sent_per_second=40)
    first = budget.look(now=100.0).rate_per_second
    for _ in range(16):
        budget.note_limited(now=100.2, retry_after_seconds=1)
    assert budget.look(now=100.2).rate_per_second == first

    budget.note_limited(now=101.2, retry_after_seconds=1)

    later = budget.look(now=101.2).rate_per_second
    assert first is not None
    assert later is not None
    assert later <= first * 0.55


def test_the_rate_never_falls_below_the_floor_and_requests_still_leave():
    budget = limited_budget(sent_per_second=1)
    for step in range(50):
        budget.note_limited(now=102.0 + 2 * step, retry_after_seconds=1)

    assert budget.look(now=200.0).rate_per_second == BudgetPolicy().floor_per_second
    assert send_for(budget, start=202.0, seconds=60) >= 10


def test_the_rate_recovers_step_by_step_and_is_lifted_after_a_quiet_spell():
    budget = limited_budget(sent_per_second=20)

    soon = budget.look(now=105.0).rate_per_second
    later = budget.look(now=130.0).rate_per_second

    assert soon is not None
    assert later is not None
    assert soon < later
    assert budget.look(now=100.0 + 1 + 120).rate_per_second is None
    assert budget.reserve("normal", now=222.0, patience_seconds=0) == 0.0


def test_a_pause_asked_for_holds_ordinary_calls():
    budget = RequestBudget()
    budget.note_limited(now=0.0, retry_after_seconds=30)

    wait = budget.reserve("normal", now=10.0, patience_seconds=FOREVER)

    assert wait is not None
    assert wait >= 20


def test_a_pause_is_capped_at_a_minute():
    budget = RequestBudget()
    budget.note_limited(now=0.0, retry_after_seconds=86_400)

    assert budget.look(now=0.0).paused_for_seconds == 60


def test_impatient_calls_take_nothing():
    budget = RequestBudget()
    budget.note_limited(now=0.0, retry_after_seconds=30)
    patient_before = RequestBudget()
    patient_before.note_limited(now=0.0, retry_after_seconds=30)
    for _ in range(100):
        assert budget.reserve("normal", now=1.0, patience_seconds=5) is None

    assert budget.reserve("normal", now=40.0, patience_seconds=FOREVER) == patient_before.reserve(
        "normal", now=40.0, patience_seconds=FOREVER
    )


def test_stops_pass_a_pause_and_a_drained_budget():
    budget = RequestBudget()
    budget.note_limited(now=0.0, retry_after_seconds=60)
    for _ in range(500):
        budget.reserve("normal", now=0.0, patience_seconds=FOREVER)

    waits = [budget.reserve("stop", now=0.1, patience_seconds=0) for _ in range(5)]

    assert waits == [0.0] * 5


def test_ordinary_calls_pay_for_stops_and_never_the_reverse():
    with_stops, without = RequestBudget(), RequestBudget()
    for budget in (with_stops, without):
        budget.note_limited(now=0.0, retry_after_seconds=1)
    for _ in range(3):
        with_stops.reserve("stop", now=1.0, patience_seconds=0)

    delayed = with_stops.reserve("normal", now=2.0, patience_seconds=FOREVER)
    usual = without.reserve("normal", now=2.0, patience_seconds=FOREVER)

    assert delayed is not None
    assert usual is not None
    assert delayed > usual


def test_the_stop_reserve_is_small_and_refills():
    budget = RequestBudget()
    budget.note_limited(now=0.0, retry_after_seconds=60)
    for _ in range(5):
        budget.reserve("stop", now=0.0, patience_seconds=0)

    assert budget.reserve("stop", now=0.0, patience_seconds=0) is None
    assert budget.reserve("stop", now=2.0, patience_seconds=0) == 0.0


events = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from(["normal", "stop", "429", "429 with pause", "ok"])),
    max_size=60,
)


@given(events)
def test_no_history_can_wedge_or_overrun_the_budget(history):
    budget, now = RequestBudget(), 0.0
    for pause, event in history:
        now += pause
        if event in {"normal", "stop"}:
            wait = budget.reserve(event, now=now, patience_seconds=10)  # type: ignore[arg-type]
            assert wait is None or 0 <= wait <= 10
        elif event == "ok":
            budget.note_success(now=now)
        else:
            budget.note_limited(now=now, retry_after_seconds=20 if "pause" in event else None)
        state = budget.look(now=now)
        assert state.rate_per_second is None or state.rate_per_second >= BudgetPolicy().floor_per_second
        assert 0 <= state.paused_for_seconds <= 60

    assert budget.reserve("normal", now=now + 300, patience_seconds=0) == 0.0
    assert budget.reserve("stop", now=now + 300, patience_seconds=0) == 0.0


@given(st.integers(1, 50))
def test_while_limited_no_second_carries_more_than_rate_and_burst(sent_per_second: int):
    budget = limited_budget(sent_per_second=sent_per_second)
    state = budget.look(now=101.0)
    assert state.rate_per_second is not None
    policy = BudgetPolicy()

    count = send_for(budget, start=101.0, seconds=1.0)

    assert count <= state.rate_per_second + policy.increase_per_second + policy.burst + 1


def test_threads_share_one_budget_without_losing_a_token():
    budget = RequestBudget(BudgetPolicy(stop_burst=100, stop_per_second=0.0001))
    budget.note_limited(now=0.0, retry_after_seconds=1)
    granted: list[float | None] = []

    def ask() -> None:
        granted.extend(budget.reserve("stop", now=0.0, patience_seconds=0) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(wait == 0.0 for wait in granted) == 100


def test_a_connection_has_one_budget_per_process():
    key = f"connection-{time.monotonic()}"

    assert budget_for(key) is budget_for(key)
    assert budget_for(key) is not budget_for(key + "x")
