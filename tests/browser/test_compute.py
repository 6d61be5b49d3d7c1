"""Clusters, volumes, containers and RL in a real browser: accessible, live, scaled and deleted with receipts."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS, Product
from tests.browser.test_jobs import find_address
from tests.browser.test_pages import AXE, WINDOWS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_SYNC = """
from dashboard.mirror import tasks
from dashboard.mirror.models import SyncRun
Run = SyncRun.Resource
tasks.sync_groups_task([run.value for run in (Run.CLUSTERS, Run.VOLUMES, Run.CONTAINERS, Run.RL)])
tasks.sync_regions_task()
tasks.sync_unit_prices_task()
"""


@pytest.fixture(scope="module")
def compute(product: Product) -> None:
    """Mirror what the demo rents, with the prices that its bill tells."""
    product.sync()
    product.run(_SYNC)


@pytest.mark.parametrize(
    "context", WINDOWS, indirect=True, ids=lambda one: f"{one['color_scheme']}-{one['viewport']['width']}"
)
def test_every_page_of_rented_compute_is_accessible_and_fits(compute: None, page: Page):
    script, problems = AXE.read_text(), []
    cluster, volume = find_address(page, "/clusters/?q=train-h100"), find_address(page, "/volumes/")
    pages = [
        "/clusters/", "/clusters/?q=nothing-matches-this", cluster, find_address(page, "/clusters/?q=docs-index"),
        f"{cluster}scale/", f"{cluster}delete/", "/volumes/", volume, f"{volume}resize/", f"{volume}delete/",
        "/volumes/new/", "/containers/", find_address(page, "/containers/?q=ticket"),
        find_address(page, "/containers/?status=failed"), "/rl/", find_address(page, "/rl/?kind=rl-resource"),
        find_address(page, "/rl/?kind=rl-session"),
    ]  # fmt: skip

    for url in pages:
        response = page.goto(url)
        assert response is not None
        assert response.status == 200, url
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        problems += [f"{url}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{url}: scrolls sideways")

    assert problems == []


def test_a_reserved_cluster_shows_nodes_phases_and_what_is_paid(compute: None, page: Page):
    page.goto(find_address(page, "/clusters/?q=train-h100"))

    expect(page.locator("#nodes tbody tr")).to_have_count(2)
    expect(page.locator("#phases .ui-stage-done")).to_have_count(7)
    expect(page.locator("#phases .ui-stage").last).to_contain_text("Ready")
    expect(page.locator("#bill")).to_contain_text(re.compile(r"Bill by the hour\s*0 GPUs"))
    expect(page.locator("#prepaid")).to_contain_text("is not refunded")
    countdown = page.locator("#prepaid [data-countdown]")
    expect(countdown).to_have_text(re.compile(r"^\d+ d( \d+ h)?$"))
    expect(page.locator("#utilisation")).to_contain_text("tells no load of clusters")
    page.locator("#volumes").get_by_role("link", name="training-data").click()
    expect(page.locator("h1")).to_contain_text("training-data")
    page.locator("#attached").get_by_role("link", name="train-h100").click()
    expect(page.locator("h1")).to_contain_text("train-h100")


def test_a_cluster_is_scaled_with_its_price_and_shows_the_new_node(
    compute: None, product: Product, page: Page
):
    page.goto(find_address(page, "/clusters/?q=search-eval"))
    page.get_by_role("link", name="Scale").click()
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("button", name="Leave as it is")).to_be_focused()
    expect(dialog.locator("select")).to_contain_text("16 GPUs, 2 nodes: $67.04/h (+33.52)")

    dialog.get_by_label("New size").select_option("16")
    dialog.get_by_role("button", name="Change the size").click()

    expect(dialog).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("Scale requested")
    receipt = page.locator("#toasts").get_by_role("link", name="Progress").get_attribute("href")
    expect(page.locator("#nodes tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
    page.goto(str(receipt))
    expect(page.locator("#receipt")).to_contain_text("read back", timeout=PATIENCE_MS)


def test_a_volume_that_is_attached_is_not_deleted(compute: None, page: Page):
    page.goto(find_address(page, "/volumes/?q=docs-corpus"))
    page.get_by_role("link", name="Delete").click()

    expect(page.locator("#dialog")).to_contain_text("docs-corpus is attached to docs-index")
    expect(page.locator("#dialog form")).to_have_count(0)


def test_a_volume_is_made_and_the_forgotten_one_deleted(compute: None, product: Product, page: Page):
    page.goto("/volumes/")
    page.get_by_role("link", name="New volume").click()
    dialog = page.locator("#dialog")
    dialog.get_by_label("Name").fill("browser-scratch")
    dialog.get_by_label("Region").select_option("us-west-4")
    dialog.get_by_label("Size, TiB").fill("3")
    dialog.get_by_role("button", name="Make the volume").click()

    expect(dialog).to_be_hidden()
    row = page.locator("#resources tbody tr", has_text="browser-scratch")
    expect(row).to_contain_text("3 TiB", timeout=PATIENCE_MS)

    page.goto(find_address(page, "/volumes/?q=llama-70b-checkpoints"))
    expect(page.locator("#resource")).to_contain_text("No cluster uses it")
    page.get_by_role("link", name=re.compile("^Delete")).click()
    dialog.get_by_role("button", name=re.compile("^Delete, saves")).click()
    expect(page.locator("#toasts")).to_contain_text("Delete requested")
    expect(page.locator("#resource")).to_contain_text("waiting for its absence", timeout=PATIENCE_MS)
    product.run(_SYNC)
    expect(page.locator("#resource")).to_contain_text(
        "The provider no longer lists it", timeout=2 * PATIENCE_MS
    )
    names = [one["volume_name"] for one in list_volumes(product)]
    assert "browser-scratch" in names
    assert "llama-70b-checkpoints" not in names


def list_volumes(product: Product) -> list[dict[str, str]]:
    """Return what the provider lists."""
    found: list[dict[str, str]] = product.simulator.call("GET", "/v1/compute/clusters/storage/volumes")[
        "volumes"
    ]
    return found
