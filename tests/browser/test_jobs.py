"""Jobs and files in a real browser, against the simulator's: accessible, live, cancelled and read back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS, Product
from tests.browser.test_pages import AXE, WINDOWS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_SYNC = """
from dashboard.core import heartbeats
from dashboard.mirror import tasks
from dashboard.mirror.groups import GROUPS
tasks.sync_groups_task([group.run.value for group in GROUPS])
tasks.sync_details_task()
"""


@pytest.fixture(scope="module")
def jobs(product: Product) -> None:
    """Mirror the demo's jobs with their details."""
    product.sync()
    product.run(_SYNC)


def find_address(page: Page, query: str) -> str:
    """Return the address of the first row of a list."""
    page.goto(query)
    address = page.locator("#resources tbody a.ui-t-name").first.get_attribute("href")
    assert address
    return address


@pytest.mark.parametrize(
    "context", WINDOWS, indirect=True, ids=lambda one: f"{one['color_scheme']}-{one['viewport']['width']}"
)
def test_every_page_of_jobs_is_accessible_and_fits(jobs: None, page: Page):
    script, problems = AXE.read_text(), []
    pages = [
        "/jobs/",
        "/jobs/?status=failed",
        "/jobs/?q=nothing-matches-this",
        "/jobs/estimate/",
        "/files/",
        "/find/?q=llama",
    ]
    kinds = ("fine-tune", "batch", "evaluation", "upload", "upload-v1")
    pages += [find_address(page, f"/jobs/?kind={kind}") for kind in kinds]
    tuned = find_address(page, "/jobs/?kind=fine-tune&status=completed")
    pages += [tuned, find_address(page, "/files/"), find_address(page, "/files/?status=failed")]

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


def test_a_finished_fine_tune_shows_its_stages_curve_and_numbers(jobs: None, page: Page):
    page.goto(find_address(page, "/jobs/?kind=fine-tune&status=completed&sort=-price"))

    expect(page.locator(".ui-stage-done")).to_have_count(6)
    canvas = page.locator("canvas#loss")
    expect(canvas).to_be_visible()
    # Drawn: something else than an empty canvas.
    assert page.evaluate(
        "(c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 8)"
        "(document.getElementById('loss'))"
    )
    page.get_by_text("Numbers", exact=True).click()
    expect(page.get_by_role("region", name="Loss by step").locator("tbody tr").first).to_be_visible()


@pytest.mark.parametrize(
    ("path", "chip", "kept", "nothing"),
    [
        ("/jobs/", "Batches", "kind=batch", "No job matches"),
        ("/endpoints/", "Running", "status=running", "No endpoint matches"),
    ],
)
def test_a_search_keeps_the_chip_that_was_chosen_before(
    jobs: None, page: Page, path: str, chip: str, kept: str, nothing: str
):
    page.goto(path)
    page.evaluate("window.mark = 1")
    page.locator("#chips").get_by_role("link", name=re.compile(f"^{chip}")).click()
    expect(page).to_have_url(re.compile(kept))
    expect(page.locator("#chips input[type=hidden]")).to_have_count(1)

    page.get_by_role("searchbox").first.fill("no such thing")

    expect(page.get_by_role("heading", name=nothing)).to_be_visible()
    assert kept in page.url
    # Swapped in place: the page was never loaded anew.
    assert page.evaluate("window.mark") == 1


def test_the_palette_jumps_to_a_job_by_its_id(jobs: None, page: Page):
    page.goto(find_address(page, "/jobs/?kind=fine-tune"))
    remote_id = page.locator("dt:text-is('Id') + dd").inner_text()
    page.goto("/")
    page.keyboard.press("Control+k")

    page.get_by_role("combobox", name="Find or jump to").fill(remote_id)
    expect(page.get_by_role("option", name=re.compile("Fine-tune"))).to_be_visible()
    page.keyboard.press("Enter")

    expect(page.locator("dt:text-is('Id') + dd")).to_have_text(remote_id)


def test_a_cancel_says_the_charge_and_is_read_back(jobs: None, product: Product, page: Page):
    name = start_long_job(product)
    product.run(_SYNC)
    page.goto(find_address(page, f"/jobs/?q={name}"))
    page.get_by_role("link", name="Cancel").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("charged")
    expect(dialog.get_by_role("button", name="Let it run")).to_be_focused()

    dialog.get_by_role("button", name="Cancel this job").click()

    expect(dialog).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("Cancel requested")
    expect(page.locator("#toasts")).to_contain_text("was cancelled", timeout=PATIENCE_MS)
    expect(page.locator("h1 .ui-st")).to_have_text("Cancelled", timeout=PATIENCE_MS)
    page.locator("#toasts").get_by_role("link", name="Receipt").first.click()
    expect(page.locator("#receipt")).to_contain_text("State read back from the provider")


def start_long_job(product: Product) -> str:
    """Start a fine-tune that lasts minutes at the simulator's speed; return the end of its name."""
    dearest = max(
        product.simulator.call("GET", "/v1/fine-tunes")["data"], key=lambda one: one.get("total_price") or 0
    )
    body = {
        "training_file": dearest["training_file"], "model": dearest["model"], "n_epochs": 20,
        "training_type": dearest["training_type"], "suffix": "to-be-cancelled",
    }  # fmt: skip
    product.simulator.call("POST", "/v1/fine-tunes", body)
    return "to-be-cancelled"


def test_the_price_of_a_fine_tune_arrives_by_itself(jobs: None, product: Product, page: Page):
    page.goto("/jobs/estimate/")
    page.get_by_label("Training file").select_option(index=1)
    page.get_by_label("Base model").fill("Qwen/Qwen3-8B")
    page.get_by_label("Epochs").fill("2")
    page.get_by_role("button", name="Ask for the price").click()
    expect(page.locator("#answer")).to_contain_text("Asking the provider.")

    product.run("from dashboard.lifecycle import estimates; estimates.answer_pending()")

    expect(page.locator("#answer")).to_contain_text(
        re.compile(r"About \$\d|gives no estimate"), timeout=PATIENCE_MS
    )
