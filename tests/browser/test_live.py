"""What changes elsewhere shows by itself, and what a person is doing stays."""

import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import REPOSITORY, Product, find_free_port, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def row(page: Page, name: str):
    return page.locator("tbody tr", has=page.get_by_role("link", name=name, exact=True))


def test_a_change_at_the_provider_shows_without_losing_focus_selection_or_scroll(
    product: Product, page: Page
):
    product.force("support-triage-70b", "READY")
    product.sync()
    page.set_viewport_size({"width": 1440, "height": 480})
    page.goto("/endpoints/")
    expect(row(page, "support-triage-70b").locator(".ui-st")).to_have_text("Running")
    page.get_by_label("Select search-embed-e5").check()
    search = page.get_by_role("searchbox", name="Search endpoints")
    search.focus()
    page.keyboard.type("s")
    expect(page).to_have_url(re.compile(r"\?q=s$"))
    page.evaluate("scrollTo(0, 200)")

    product.force("support-triage-70b", "FAILED")
    product.sync()

    expect(row(page, "support-triage-70b").locator(".ui-st")).to_have_text("Failed")
    assert search.input_value() == "s"
    assert page.evaluate("document.activeElement.name") == "q"
    assert page.get_by_label("Select search-embed-e5").is_checked()
    assert page.evaluate("scrollY") == 200
    product.force("support-triage-70b", "READY")
    product.sync()


def test_a_stop_is_confirmed_shown_and_receipted(product: Product, page: Page):
    product.force("evals-judge-32b", "READY")
    product.sync()
    page.goto("/endpoints/")
    before = page.locator("#burn-meter b").inner_text()
    row(page, "evals-judge-32b").get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name=re.compile("^Stop")).click()
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("heading", name="Stop evals-judge-32b?")).to_be_visible()
    expect(dialog).to_contain_text("$10.98/h")
    expect(dialog.get_by_role("button", name="Leave running")).to_be_focused()

    dialog.get_by_role("button", name=re.compile("^Stop, saves")).click()

    expect(dialog).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("Stop requested: evals-judge-32b")
    expect(page.locator("#toasts")).to_contain_text("evals-judge-32b stopped")
    expect(row(page, "evals-judge-32b").locator(".ui-st")).to_have_text("Stopped")
    assert product.find_endpoint("evals-judge-32b")["deployments"][0]["state"].endswith("STOPPED")
    expect(page.locator("#burn-meter b")).not_to_have_text(before)
    page.locator("#toasts").get_by_role("link", name="Receipt").first.click()
    expect(page.get_by_role("heading", name=re.compile(r"Stop R-\d{5}"))).to_be_visible()
    expect(page.locator("#receipt")).to_contain_text("State read back from the provider")


def test_leaving_the_dialog_sends_nothing(product: Product, page: Page):
    product.sync()
    writes = len([one for one in product.simulator.requests() if one["method"] != "GET"])
    page.goto("/endpoints/?q=search-embed")
    row(page, "search-embed-e5").get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name=re.compile("^Stop")).click()
    expect(page.locator("#dialog")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.locator("#dialog")).to_be_hidden()
    assert len([one for one in product.simulator.requests() if one["method"] != "GET"]) == writes


def test_a_start_is_followed_until_replicas_are_ready(product: Product, page: Page):
    product.sync()
    page.goto("/endpoints/?q=kimi")
    row(page, "research-kimi-k2").get_by_role("link", name="Start").click()
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("heading", name="Start research-kimi-k2?")).to_be_visible()
    dialog.get_by_label("At least").fill("3")
    dialog.get_by_label("At most").fill("2")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.get_by_text("the upper bound lies below")).to_be_visible()
    dialog.get_by_label("At least").fill("1")
    dialog.get_by_label("At most").fill("1")

    dialog.get_by_role("button", name="Start").click()

    expect(dialog).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("research-kimi-k2 is ready")
    product.sync()
    expect(row(page, "research-kimi-k2").locator(".ui-st")).to_have_text("Running")


@pytest.mark.parametrize("context", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_a_phone_stops_several_with_the_bar_at_the_bottom(
    context: BrowserContext, page: Page, product: Product
):
    product.sync()
    page.goto("/endpoints/")
    for name in ("search-embed-e5", "docs-translate-27b"):
        page.get_by_label(f"Select {name}").check()
    bar = page.get_by_role("region", name="Selection")

    expect(bar).to_contain_text("2 selected")
    box = bar.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] > 800
    bar.get_by_role("button", name=re.compile("^Stop 2, saves")).click()

    expect(page.locator("#dialog").get_by_role("heading", name="Stop 2 endpoints?")).to_be_visible()
    page.locator("#dialog").get_by_role("button", name="Leave running").click()
    expect(page.locator("#dialog")).to_be_hidden()


def test_a_stop_that_does_nothing_is_never_called_stopped(product: Product, page: Page):
    product.force("research-glm-sandbox", "READY")
    product.sync()
    fault = product.simulator.add_fault("stop_ignored")
    page.goto("/endpoints/?q=glm")

    row(page, "research-glm-sandbox").get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name=re.compile("^Stop")).click()
    page.locator("#dialog").get_by_role("button", name=re.compile("^Stop, saves")).click()
    expect(row(page, "research-glm-sandbox").locator(".ui-st")).to_have_text("Stopping")
    page.wait_for_timeout(4000)

    expect(row(page, "research-glm-sandbox")).to_contain_text("waiting")
    expect(row(page, "research-glm-sandbox").locator(".ui-st")).to_have_text("Stopping")
    product.simulator.admin("DELETE", f"/faults/{fault}")


def test_open_streams_end_at_once_when_the_server_is_told_to_stop(product: Product, session_cookie):
    port = find_free_port()
    command = [
        sys.executable, "-m", "uvicorn", "dashboard.asgi:application", "--port", str(port),
        "--lifespan", "off", "--log-level", "error", "--timeout-graceful-shutdown", "5",
    ]  # fmt: skip
    server = subprocess.Popen(command, cwd=REPOSITORY, env=product.environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        cookie = {"Cookie": f"sessionid={session_cookie['value']}"}
        stream = urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{port}/live/", headers=cookie), timeout=10
        )
        assert b"retry" in stream.readline()
        started = time.monotonic()

        server.terminate()

        stream.read()  # to its end
        # uvicorn ends itself by the signal it got, after it has answered everybody.
        assert server.wait(timeout=5) in (0, -signal.SIGTERM)
        assert time.monotonic() - started < 3
    finally:
        server.kill()
        server.wait()


def test_a_search_without_hits_says_so_and_comes_back(product: Product, page: Page):
    product.sync()
    page.goto("/endpoints/")
    search = page.get_by_role("searchbox", name="Search endpoints")
    search.fill("no such thing")

    expect(page.get_by_role("heading", name="No endpoint matches")).to_be_visible()

    search.fill("search-embed")
    expect(row(page, "search-embed-e5")).to_be_visible()
