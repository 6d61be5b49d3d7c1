"""Every page in both themes and two widths: no violation that axe finds, no sideways scroll, no console error."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import REPOSITORY, Product, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
PAGES = [
    "/", "/endpoints/", "/endpoints/?status=idle", "/endpoints/?q=nothing-matches-this", "{v2}", "{v1}", "{v2}events/",
    "{v2}raw/", "{v2}stop/", "{v2}scale/", "/endpoints/stop/", "/find/?q=docs", "/activity/", "/settings/you/",
    "/settings/connections/", "/settings/users/", "/settings/teams/", "/settings/health/",
]  # fmt: skip
WINDOWS = [
    {"color_scheme": theme, "viewport": {"width": width, "height": 900}, "bypass_csp": True}
    for theme in ("light", "dark")
    for width in (1440, 390)
]


def find_addresses(page: Page) -> dict[str, str]:
    """Return the addresses of one endpoint of each generation."""
    page.goto("/endpoints/?q=docs-qa")
    v2 = page.locator("tbody a.ui-t-name").first.get_attribute("href")
    page.goto("/endpoints/?q=FAQ")
    v1 = page.locator("tbody a.ui-t-name").first.get_attribute("href")
    assert v1
    assert v2
    return {"v1": v1, "v2": v2}


@pytest.mark.parametrize(
    "context", WINDOWS, indirect=True, ids=lambda one: f"{one['color_scheme']}-{one['viewport']['width']}"
)
def test_every_page_is_accessible_and_fits(page: Page):
    addresses = find_addresses(page)
    script = AXE.read_text()
    problems = []

    for template in PAGES:
        url = template.format(**addresses)
        response = page.goto(url)
        assert response is not None
        assert response.status == 200, url
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        problems += [f"{url}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{url}: scrolls sideways")

    assert problems == []


def test_signing_in_leads_to_the_overview(product: Product, chromium):
    context = chromium.new_context(base_url=product.url)
    page = context.new_page()
    page.goto("/endpoints/")
    expect(page).to_have_url(re.compile(r"/sign-in/\?next="))

    sign_in(page)

    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("link", name="docs-qa-gpt-oss-120b").first).to_be_visible()
    context.close()


@pytest.mark.parametrize("context", [{"java_script_enabled": False}], indirect=True)
def test_pages_work_without_javascript(context: BrowserContext):
    page = context.new_page()
    page.goto("/endpoints/?q=search-embed")
    page.get_by_role("link", name="search-embed-e5").click()

    page.get_by_role("link", name="Replicas").click()
    page.get_by_label("At least").fill("3")
    page.get_by_label("At most").fill("2")
    page.get_by_role("button", name="Change replicas").click()

    expect(page.get_by_text("the upper bound lies below")).to_be_visible()
    page.goto("/endpoints/")
    page.get_by_label("Select search-embed-e5").check()
    page.get_by_role("button", name="Stop the selected").click()
    expect(page.get_by_role("heading", name="Stop search-embed-e5?")).to_be_visible()
    page.get_by_role("button", name="Leave running").click()
    expect(page.get_by_role("heading", name="search-embed-e5")).to_be_visible()


@pytest.mark.parametrize("context", [{"color_scheme": "dark"}], indirect=True)
def test_dark_mode_follows_the_system_and_the_switch(page: Page):
    page.goto("/")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Switch theme").click()

    assert page.evaluate("document.documentElement.dataset.bsTheme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.reload()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "light"


def test_the_palette_finds_and_goes(page: Page):
    page.goto("/")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find or jump to").fill("triage")
    expect(page.get_by_role("option", name="support-triage-70b")).to_be_visible()

    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="support-triage-70b")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1024, 1280])
def test_the_price_stays_in_sight(product: Product, page: Page, width: int):
    product.sync()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/endpoints/")

    first = page.locator("tbody tr").first
    name, price = (first.locator(f'[data-m="{part}"]').bounding_box() for part in ("name", "price"))

    assert name is not None
    assert price is not None
    assert price["x"] + price["width"] <= width
    assert name["y"] - 10 <= price["y"] < name["y"] + name["height"], "name and price stand on one line"
