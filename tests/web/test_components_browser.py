"""The reference page in real Chromium: accessibility in both themes, keys, dialog, selection, live updates."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from dashboard.accounts import permissions
from dashboard.web.nav import Shell
from dashboard.web.views import reference
from tests.web import reference_urls

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = Path(django_settings.BASE_DIR) / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, PHONE = (1440, 1000), (390, 844)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Playwright's loop in this thread makes Django believe that the fixtures' queries run in async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield running
        running.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Return the browser; its pages are closed after the test, with the streams they hold."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture
def reference_url(live_server: LiveServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    settings.DEBUG = True
    settings.ROOT_URLCONF = "tests.web.reference_urls"
    monkeypatch.setitem(permissions.ROUTES, "test_stream", permissions._public(permissions.GET))
    monkeypatch.setattr(reference_urls, "feed", reference_urls.Feed())
    return f"{live_server.url}/reference/"


@pytest.fixture
def live_url(reference_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the reference page with a stream that the test feeds."""

    def build(**parts: object) -> Shell:
        return Shell(live_url="/test-stream/", **parts)  # type: ignore[arg-type]

    monkeypatch.setattr(reference, "Shell", build)
    return reference_url


def open_page(browser: Browser, url: str, *, size: tuple[int, int] = WIDE, theme: str = "light") -> Page:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)  # type: ignore[arg-type]
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.problems = []  # type: ignore[attr-defined]

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            page.problems.append(message.text)  # type: ignore[attr-defined]

    page.on("console", note)
    page.on("pageerror", lambda error: page.problems.append(str(error)))  # type: ignore[attr-defined]
    page.goto(url)
    page.wait_for_function("() => window.htmx !== undefined")
    return page


def find_violations(page: Page, within: str = "html") -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "within => axe.run(document.querySelector(within), {resultTypes: ['violations']})", within
    )
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found["violations"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_is_accessible_breaks_no_policy_and_does_not_scroll_sideways(
    browser: Browser, reference_url: str, size: tuple[int, int], theme: str
) -> None:
    page = open_page(browser, reference_url, size=size, theme=theme)

    assert page.get_attribute("html", "data-bs-theme") == theme
    assert find_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.problems == []  # type: ignore[attr-defined]


def test_charts_take_their_colours_from_the_theme(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)
    canvas = "() => document.getElementById('reference-chart').toDataURL()"
    page.wait_for_function("() => window.Chart?.getChart('reference-chart')")
    light = page.evaluate(canvas)

    page.click("[data-theme-switch]")
    dark = page.evaluate(canvas)
    page.click("[data-theme-switch]")

    assert light != dark
    assert page.evaluate(canvas) == light
    assert page.problems == []  # type: ignore[attr-defined]


def test_the_theme_switch_holds_over_a_reload(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)

    page.click("[data-theme-switch]")
    page.reload()

    assert page.get_attribute("html", "data-bs-theme") == "dark"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_confirmation_starts_on_the_safe_button_and_gives_focus_back(
    browser: Browser, reference_url: str, theme: str
) -> None:
    page = open_page(browser, reference_url, theme=theme)
    opener = page.locator(".ui-head-acts a", has_text="Stop, saves")
    opener.focus()

    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog[open]")

    assert page.evaluate("document.activeElement.textContent") == "Leave running"
    assert find_violations(page, "#dialog") == []
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog[open]", state="detached")
    assert "Stop, saves" in page.evaluate("document.activeElement.textContent")
    assert page.url == reference_url


def test_a_confirmed_act_closes_the_dialog_and_says_so(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)
    page.locator(".ui-head-acts a", has_text="Stop, saves").click()

    page.click("#dialog [type=submit]")

    page.wait_for_selector("#toasts .ui-toast")
    assert not page.evaluate("document.getElementById('dialog').open")
    assert "docs-qa-gpt-oss-120b stopped" in page.inner_text("#toasts")
    page.click("#toasts [data-toast-close]")
    assert page.locator("#toasts .ui-toast").count() == 0


def test_without_javascript_the_confirmation_is_a_page(browser: Browser, reference_url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reference_url)

    page.locator(".ui-head-acts a", has_text="Stop, saves").click()

    assert page.inner_text("h1") == "Stop 2 endpoints?"
    assert page.locator(".ui-dlg-page form[method=post] input[name=csrfmiddlewaretoken]").count() == 1


def test_menus_answer_to_arrows_and_escape(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)
    page.focus("[popovertarget=menu-1]")

    page.keyboard.press("Enter")
    page.wait_for_selector("#menu-1:popover-open")
    first = page.evaluate("document.activeElement.textContent.trim()")
    page.keyboard.press("ArrowUp")
    last = page.evaluate("document.activeElement.textContent.trim()")
    page.keyboard.press("Escape")

    assert first == "Change replicas"
    assert last.startswith("Stop")
    assert page.evaluate("document.activeElement.getAttribute('popovertarget')") == "menu-1"
    box = page.locator("[popovertarget=menu-1]").bounding_box()
    page.click("[popovertarget=menu-1]")
    menu = page.locator("#menu-1").bounding_box()
    assert box
    assert menu
    assert abs(menu["x"] + menu["width"] - box["x"] - box["width"]) < 2


def test_selection_by_key_counts_and_sums(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)
    bar = page.locator("[data-select-bar]")
    assert not bar.is_visible()

    page.focus("#row-2 a.ui-t-name")
    page.keyboard.press("x")
    page.focus("#row-3 a.ui-t-name")
    page.keyboard.press("x")

    assert "Stop 2, saves $16.20–21.60/h" in bar.inner_text()
    assert page.evaluate("document.querySelector('thead [data-select-all]').indeterminate")
    page.focus("#row-5 a.ui-t-name")
    page.keyboard.press("x")
    assert "saves at least $16.20–21.60/h" in bar.inner_text()
    page.keyboard.press("Escape")
    assert not bar.is_visible()


def test_the_bulk_button_asks_about_what_is_selected(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)
    page.check("[data-select][value='2']")
    page.check("[data-select][value='3']")

    with page.expect_request(lambda request: "dialog" in request.url) as caught:
        page.click("[data-select-bar] .ui-btn-danger")

    assert "id=2" in caught.value.url
    assert "id=3" in caught.value.url
    assert "id=1" not in caught.value.url


def test_slash_and_the_palette(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url)

    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.hasAttribute('data-search')")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#find [role=option]")
    page.keyboard.type("docs")
    page.wait_for_function("() => document.querySelectorAll('#find [role=option]').length === 1")

    assert page.get_attribute("#find [role=option]", "aria-selected") == "true"
    assert find_violations(page, "#find") == []
    page.keyboard.press("Escape")
    assert not page.evaluate("document.getElementById('find').open")


def test_the_sidebar_is_a_sheet_on_phones(browser: Browser, reference_url: str) -> None:
    page = open_page(browser, reference_url, size=PHONE)
    assert not page.locator("#sidebar").is_visible()

    page.click("[popovertarget=sidebar]")

    assert page.locator("#sidebar nav").is_visible()
    assert find_violations(page) == []
    page.keyboard.press("Escape")
    assert not page.locator("#sidebar").is_visible()


def test_times_tick_and_a_mirror_that_grows_old_stops_looking_sure(
    browser: Browser, reference_url: str
) -> None:
    page = open_page(browser, reference_url)
    before = page.inner_text(".ui-stats [data-countdown]")

    page.wait_for_function(
        "before => document.querySelector('.ui-stats [data-countdown]').textContent !== before", arg=before
    )
    page.evaluate(
        """() => { const stamp = document.querySelector('[data-sync-at]');
                   stamp.dataset.syncAt = new Date(Date.now() - 400000).toISOString(); }"""
    )

    page.wait_for_selector("html[data-sync=stale]")
    assert "sync late: 6 min" in page.inner_text(".ui-head .ui-sync")
    assert page.inner_text("#row-1 .ui-st") == "Was running"
    assert page.get_attribute("#row-1 .ui-st", "class") == "ui-st ui-st-stale"


# --- Live -------------------------------------------------------------------------------------------------------


def read_clock(page: Page) -> str:
    return page.inner_text("#reference-clock")


def wait_for_new_clock(page: Page, before: str) -> None:
    page.wait_for_function(
        "before => document.getElementById('reference-clock').textContent !== before", arg=before
    )


def test_a_change_refetches_the_fragments_that_name_its_topic_only(browser: Browser, live_url: str) -> None:
    page = open_page(browser, live_url)
    before = read_clock(page)

    reference_urls.feed.events.put(("change", {"topics": ["people"], "ids": []}))
    page.wait_for_timeout(900)
    assert read_clock(page) == before
    reference_urls.feed.events.put(("change", {"topics": ["endpoints"], "ids": [1]}))

    wait_for_new_clock(page, before)
    assert page.problems == []  # type: ignore[attr-defined]


def test_many_changes_become_one_request_a_second(browser: Browser, live_url: str) -> None:
    page = open_page(browser, live_url)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "fragment" in request.url else None)

    for _ in range(20):
        reference_urls.feed.events.put(("change", {"topics": ["endpoints"], "ids": []}))
        page.wait_for_timeout(100)

    assert 1 <= len(requests) <= 3


def test_a_refresh_keeps_focus_input_selection_and_open_menus(browser: Browser, live_url: str) -> None:
    page = open_page(browser, live_url)
    page.fill("#reference-live [name=reason]", "demo at 14:30")
    page.click("#reference-live summary")
    page.focus("#reference-live [name=reason]")
    page.evaluate("document.activeElement.setSelectionRange(2, 5)")
    before = read_clock(page)

    reference_urls.feed.events.put(("change", {"topics": ["endpoints"], "ids": []}))
    wait_for_new_clock(page, before)

    kept = page.evaluate(
        "[document.activeElement.name, document.activeElement.selectionStart, document.activeElement.value]"
    )
    assert kept == ["reason", 2, "demo at 14:30"]
    assert page.evaluate("document.querySelector('#reference-live details').open")
    page.click("[popovertarget=menu-live]")
    place = page.locator("#menu-live").bounding_box()
    before = read_clock(page)
    reference_urls.feed.events.put(("change", {"topics": ["endpoints"], "ids": []}))
    wait_for_new_clock(page, before)
    assert page.locator("#menu-live").bounding_box() == place
    assert page.evaluate("document.activeElement.textContent.trim()") == "Change replicas"


def test_without_a_stream_the_page_polls_and_says_so_until_it_is_back(
    browser: Browser, live_url: str
) -> None:
    reference_urls.feed.is_refusing = True
    page = open_page(browser, live_url)

    page.wait_for_function(
        "() => document.getElementById('live-state').textContent.includes('asks every 10 s')"
    )
    before = read_clock(page)
    page.wait_for_function(
        "before => document.getElementById('reference-clock').textContent !== before",
        arg=before,
        timeout=15_000,
    )
    reference_urls.feed.is_refusing = False

    page.wait_for_function("() => document.getElementById('live-state').textContent === ''", timeout=20_000)


def test_a_failing_refresh_leaves_the_old_content(browser: Browser, live_url: str) -> None:
    page = open_page(browser, live_url)
    page.route("**/*fragment=live*", lambda route: route.fulfill(status=500, body="<p>Broken</p>"))
    before = read_clock(page)

    with page.expect_response(lambda response: "fragment" in response.url):
        reference_urls.feed.events.put(("change", {"topics": ["endpoints"], "ids": []}))
    page.wait_for_timeout(300)

    assert read_clock(page) == before
    assert "Broken" not in page.content()
