"""Money that ticks between two answers of the server, and hours that are asked for without leaving the page."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Product

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
_METER = "from billing.tasks import meter; meter()"
TODAY = "#money > div:nth-child(2) [data-accrue]"


@pytest.fixture(scope="module")
def metered(product: Product) -> Product:
    product.force("support-triage-70b", "READY")
    product.sync()
    product.run(_METER)
    return product


def dollars(page: Page) -> float:
    return float(page.locator(TODAY).first.inner_text().lstrip("$").replace(",", ""))


def test_what_was_spent_goes_on_ticking_from_the_servers_figure(metered: Product, page: Page):
    page.goto("/")
    today = page.locator(TODAY).first
    base, rate = (int(today.get_attribute(name) or 0) for name in ("data-base", "data-accrue"))
    assert rate > 0
    first = dollars(page)
    assert first >= base / 1e9 - 0.01

    expect(today).not_to_have_text(f"${first:,.2f}", timeout=10_000)

    assert dollars(page) > first
    # A minute later by the server's clock: exactly the rate more, whatever the browser's clock says.
    page.evaluate(
        """(minute) => {
          const cell = document.querySelector("#money > div:nth-child(2) [data-accrue]");
          const since = new Date(Date.parse(cell.dataset.since) - minute).toISOString();
          cell.dataset.since = since;
        }""",
        60_000,
    )
    before = dollars(page)
    expect(today).not_to_have_text(f"${before:,.2f}", timeout=10_000)
    assert dollars(page) - before == pytest.approx(rate / 60e9, abs=rate / 3600e9 * 5 + 0.02)


def test_with_reduced_motion_nothing_moves_within_the_minute(
    metered: Product, context: BrowserContext, page: Page
):
    page.emulate_media(reduced_motion="reduce")
    page.goto("/")
    first = page.locator(TODAY).first.inner_text()

    page.wait_for_timeout(3_500)

    assert page.locator(TODAY).first.inner_text() == first


def test_asked_hours_stay_over_a_live_refresh_and_in_the_address(metered: Product, page: Page):
    page.goto("/endpoints/")
    page.get_by_role("link", name="support-triage-70b", exact=True).click()
    panel = page.locator("#what-if")
    expect(panel).to_contain_text("Mon–Fri 08:00–18:00 UTC")

    for day in ("Tue", "Wed", "Thu", "Fri"):
        panel.get_by_label(day).uncheck()
    panel.get_by_label("Time zone").fill("Asia/Tokyo")
    panel.get_by_role("button", name="Work out these hours").click()

    expect(panel).to_contain_text("Mon 08:00–18:00 Asia/Tokyo")
    expect(page).to_have_url(re.compile(r"zone=Asia%2FTokyo"))
    page.evaluate("document.getElementById('endpoint').dispatchEvent(new CustomEvent('refresh'))")
    page.wait_for_timeout(1_000)
    expect(panel).to_contain_text("Mon 08:00–18:00 Asia/Tokyo")
    page.reload()
    expect(panel).to_contain_text("Mon 08:00–18:00 Asia/Tokyo")
