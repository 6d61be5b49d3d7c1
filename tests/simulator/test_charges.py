"""Lines of other subjects in the usage API and in the bill."""

from fractions import Fraction

import pytest

from simulator.charges import Line
from simulator.clock import HOUR_MS

PRICE = Fraction("2.5")


def register(sim, *, project=None, at_ms=None, resource="vol-1"):
    """Bill a resource at 2.50 USD an hour from now on; with `at_ms`, 40 USD once at that instant."""
    begin = sim.clock.now_ms()
    project_id = (project or sim.project).project_id

    def source(start_ms, end_ms):
        product, names = "Shared Storage", ({"region": "us-1"}, {"volume_id": resource})
        if at_ms is not None:
            if start_ms <= at_ms < end_ms:
                cost = Fraction(40)
                yield Line(at_ms, at_ms, product, Fraction(16), PRICE, cost, *names, project_id)
        elif max(begin, start_ms) < end_ms:
            first = max(begin, start_ms)
            hours = Fraction(end_ms - first, HOUR_MS)
            yield Line(first, end_ms, product, hours, PRICE, hours * PRICE, *names, project_id)

    sim.world.charge_sources.append(source)


def usage(sim, granularity="hour"):
    return sim.get(f"/v1/billing/usage?granularity={granularity}")["data"]


def test_a_line_is_reported_in_each_finished_window_and_billed(sim):
    register(sim)  # at 13:49
    sim.advance(2 * 3600)

    windows = usage(sim)
    bill = sim.admin("GET", "/bill")

    lines = [line for window in windows for line in window["line_items"]]
    assert [line["cost"] for line in lines] == ["0.458333333", "2.5"]  # 11 minutes, and an hour
    assert lines[1]["quantity"] == "1"
    assert lines[1]["attributes"] == {"volume_id": "vol-1"}
    assert bill["cost_usd"] == "5"
    assert [(row["id"], row["cost_usd"]) for row in bill["resources"]] == [("vol-1", "5")]


def test_an_instant_is_charged_in_one_window_only(sim):
    edge_ms = sim.clock.now_ms() - sim.clock.now_ms() % HOUR_MS + HOUR_MS
    register(sim, at_ms=edge_ms)
    sim.advance(3 * 3600)

    windows = usage(sim)
    hourly = sim.admin("GET", "/bill?granularity=hour")

    assert [window["start_time"] for window in windows] == ["2026-11-18T14:00:00Z"]
    assert windows[0]["line_items"][0]["cost"] == "40"
    assert [(line["start"], line["cost_usd"]) for line in hourly["lines"]] == [("2026-11-18T14:00:00Z", "40")]


def test_the_lines_of_the_bill_add_up_to_its_total(sim):
    register(sim)
    sim.advance(90 * 60)

    bill = sim.admin("GET", "/bill?granularity=minute&id=vol-1")

    assert len(bill["lines"]) == 90
    assert sum(Fraction(line["cost_usd"]) for line in bill["lines"]) == pytest.approx(3.75, abs=1e-9)
    assert bill["cost_usd"] == "3.75"


def test_the_usage_of_another_organisation_is_not_shown(sim):
    foreign = next(p for p in sim.world.projects.values() if p.organization.name == "thornfield")
    register(sim, project=foreign)
    sim.advance(2 * 3600)

    assert usage(sim) == []
    assert sim.admin("GET", "/bill?id=vol-2")["cost_usd"] == "0"
