"""The deploy wizard as people use it, from the model to READY: by mouse, by keyboard alone, without JavaScript."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Product
from tests.browser.test_pages import AXE, WINDOWS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
MODEL = "openai/gpt-oss-20b"
_CATALOGUE = """
from dashboard.accounts.models import Connection
from dashboard.mirror.sync_models import sync_model_catalogue
for connection in Connection.objects.all():
    sync_model_catalogue(connection)
"""


@pytest.fixture(scope="module")
def catalogue(product: Product) -> None:
    """The catalogue and what it runs on, read once."""
    product.run(_CATALOGUE)


@pytest.mark.usefixtures("catalogue")
def test_a_model_is_deployed_with_a_live_price_until_it_is_ready(product: Product, page: Page):
    page.goto("/endpoints/")
    page.get_by_role("link", name="New endpoint").click()
    page.get_by_role("searchbox", name="Search models").fill("gpt-oss-20b")
    page.get_by_role("link", name=f"Deploy {MODEL}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Deploy {MODEL}")

    price = page.locator("#deploy-price")
    one = price.inner_text()
    page.get_by_label("At most").fill("3")
    expect(price).to_contain_text("1 to 3 replicas")
    assert price.inner_text() != one
    expect(page.get_by_label("At most")).to_be_focused()
    page.get_by_label("Name of the endpoint").fill("browser-made")
    expect(page).to_have_url(re.compile("endpoint_name=browser-made"))
    page.reload()
    expect(page.get_by_label("At most")).to_have_value("3")

    page.get_by_role("button", name="Review").click()
    expect(page.get_by_text("browser-made, new")).to_be_visible()
    page.get_by_role("button", name=re.compile("Create, burns")).click()

    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    expect(page.locator(".ui-stage-done")).to_have_count(6, timeout=60_000)
    made = product.find_endpoint("browser-made")
    assert [one["state"] for one in made["deployments"]] == ["DEPLOYMENT_STATE_READY"]
    assert [one["weight"] for one in made["trafficSplit"]] == [1]


@pytest.mark.usefixtures("catalogue")
def test_the_wizard_works_by_keyboard_alone(page: Page):
    page.goto(f"/deploy/?model={MODEL}")
    page.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio").nth(1)).to_be_checked()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "max_replicas":
            break
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("2")
    expect(page.locator("#deploy-price")).to_contain_text("1 to 2 replicas")

    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="What will be created")).to_be_visible()
    expect(page.get_by_text("1 to 2 replicas, by traffic")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("At most")).to_have_value("2")


@pytest.mark.usefixtures("catalogue")
def test_the_wizard_works_without_javascript(
    product: Product, chromium: Browser, session_cookie: dict[str, Any]
):
    context: BrowserContext = chromium.new_context(base_url=product.url, java_script_enabled=False)
    context.add_cookies([session_cookie])  # type: ignore[list-item]
    page = context.new_page()
    page.goto("/deploy/?q=gpt-oss-20b")
    page.get_by_role("link", name=f"Deploy {MODEL}").click()
    page.get_by_label("At least").fill("0")
    page.get_by_label("Name of the endpoint").fill("no-script")
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Deploy {MODEL}")
    page.get_by_label("At least").fill("1")
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_text("no-script, new")).to_be_visible()
    page.get_by_role("button", name=re.compile("Create")).click()

    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    context.close()


PAGES = [
    "/deploy/", "/deploy/?q=nothing-matches-this", "/deploy/?model=acme/gone", f"/deploy/?model={MODEL}",
    f"/deploy/?model={MODEL}&min_replicas=0&step=review", "{review}", "/models/", "/models/catalogue/", "{offered}",
    "/models/deprecations/", "/models/deprecations/?q=nothing-matches-this", "/models/upload/", "{v2}settings/",
    "{v2}split/", "{v2}delete/", "{v1}", "{v1}settings/", "{v1}start/", "/settings/deprecations/",
]  # fmt: skip


def find_addresses(page: Page) -> dict[str, str]:
    """Return the addresses of one endpoint of each generation, of a model on offer, and of a review."""
    found = {}
    for name, query in (("v2", "docs-qa"), ("v1", "FAQ")):
        page.goto(f"/endpoints/?q={query}")
        found[name] = page.locator("tbody a.ui-t-name").first.get_attribute("href") or ""
    page.goto("/models/catalogue/?q=gpt-oss-20b")
    found["offered"] = page.locator("tbody a.ui-t-name").first.get_attribute("href") or ""
    page.goto(f"/deploy/?model={MODEL}")
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("heading", name="What will be created")).to_be_visible()
    found["review"] = page.url
    return found


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    "context", WINDOWS, indirect=True, ids=lambda one: f"{one['color_scheme']}-{one['viewport']['width']}"
)
def test_every_page_of_models_and_wizard_is_accessible_and_fits(page: Page):
    addresses = find_addresses(page)
    script = AXE.read_text()
    problems = []

    for template in PAGES:
        url = template.format(**addresses)
        response = page.goto(url)
        assert response is not None
        assert response.status in (200, 422), url
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        problems += [f"{url}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{url}: scrolls sideways")

    assert problems == []


def test_the_split_says_what_weights_mean_while_they_are_typed(product: Product, page: Page):
    page.goto("/endpoints/?q=docs-qa")
    page.locator("tbody a.ui-t-name").first.click()
    page.get_by_role("link", name="Traffic split").click()
    dialog = page.get_by_role("dialog")
    weight = dialog.get_by_label("Weight of").first
    weight.fill("0")
    expect(dialog.locator("[data-split-total]")).to_have_text("none")

    weight.fill("4")

    expect(dialog.locator("[data-split-share]").first).to_have_text("100%")
    expect(dialog.locator("[data-split-sum]")).to_have_text("4")
