"""The template tags: what they print, and what no template may contain."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory

from dashboard.core import status
from dashboard.web import charts
from dashboard.web.htmx import Toast, finish_dialog, is_dialog, is_partial
from dashboard.web.nav import BurnMeter, MenuItem, NavItem, Shell

NOW = datetime(2026, 11, 18, 13, 49, 31, tzinfo=UTC)
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
SPRITE = Path(settings.BASE_DIR) / "static" / "img" / "icons.svg"


def render(source: str, *, path: str = "/endpoints/", **context: object) -> str:
    request = RequestFactory().get(path)
    text = Template(source).render(Context({"now": NOW, "request": request, **context}))
    return re.sub(r"\s+", " ", text).strip()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


@pytest.mark.parametrize("each", status.ALL, ids=lambda each: each.value)
def test_every_status_shows_shape_and_word(each: status.Status) -> None:
    html = render("{% status each %}", each=each)

    assert each.word in words(html)
    assert "<svg" in html
    assert f"ui-st-{each.role}" in html


def test_a_stored_value_is_enough_and_the_raw_state_stands_in_the_title() -> None:
    html = render('{% status "running" raw="DEPLOYMENT_STATE_READY" %}')

    assert 'title="API state READY: serving, billed"' in html
    assert 'data-was="Was running"' in html


def test_a_state_nobody_documented_is_said_raw_and_escaped() -> None:
    html = render("{% status 'unknown' raw=raw %}", raw="DEPLOYMENT_STATE_<b>")

    assert "Unknown (&lt;b&gt;)" in html
    assert "<b>" not in html


def test_a_stale_status_is_hollow() -> None:
    html = render("{% status 'idle' is_stale=True %}")

    assert words(html) == "Was idle"
    assert "ui-st-stale" in html


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% burn 10800000000 %}", "10.80"),
        ("{% burn 5400000000 10800000000 %}", "5.40–10.80"),
        ("{% burn 0 0 %}", "0.00"),
        ("{% burn 0 0 2 %}", "price unknown"),
        ("{% burn None %}", "price unknown"),
        ("{% per_hour 5400000000 10800000000 1 %}", "≥ $5.40–10.80/h"),
        ("{% per_minute 10800000000 %}", "$0.18"),
        ("{% per_month 10800000000 %}", "$7,884"),
        ("{% amount 1459120000000 %}", "1,459.12"),
        ("{% amount None %}", "no data"),
        ("{% dollars 64980000000 %}", "$64.98"),
    ],
)
def test_money_reads_as_the_design_says(source: str, text: str) -> None:
    assert re.sub(r"<[^>]*>", "", render(source)) == text


def test_times_carry_the_absolute_time_and_tick() -> None:
    at = NOW - timedelta(minutes=47)

    assert render("{% ago at %}", at=at) == (
        '<time class="ui-num" datetime="2026-11-18T13:02:31+00:00" title="2026-11-18 13:02:31 UTC"'
        " data-ago>47 min ago</time>"
    )
    assert words(render("{% moment at %}", at=at)) == "13:02"
    assert words(render("{% elapsed at %}", at=at)) == "47 min"
    assert words(render("{% countdown at %}", at=NOW + timedelta(seconds=929))) == "15:29"
    assert words(render("{% moment at missing='not yet' %}", at=None)) == "not yet"


@pytest.mark.parametrize(
    ("seconds", "level", "text"),
    [
        (18, "fresh", "as of 13:49:13 UTC, synced 18 s ago"),
        (120, "fresh", "as of 13:47:31 UTC, synced 2 min ago"),
        (209, "late", "as of 13:46:02 UTC, sync late: 3 min 29 s ago"),
        (509, "stale", "as of 13:41:02 UTC, sync late: 8 min 29 s ago"),
    ],
)
def test_the_sync_stamp_never_looks_surer_than_it_is(seconds: int, level: str, text: str) -> None:
    html = render("{% sync_stamp at %}", at=NOW - timedelta(seconds=seconds))

    assert f'data-age="{level}"' in html
    assert words(html) == text


def test_never_synced_is_said() -> None:
    assert words(render("{% sync_stamp None %}")) == "never synced"


def test_a_running_sum_counts_from_when_the_page_was_opened() -> None:
    fresh = render("{% accrued 3600000000000 %}")
    since = render("{% accrued 3600000000000 at %}", at=NOW - timedelta(seconds=90))

    assert 'data-keep="data-since"' in fresh
    assert words(fresh) == "$0.00"
    assert "data-keep" not in since
    assert words(since) == "$90.00"


def test_a_sort_header_turns_its_own_order_around_and_forgets_the_page() -> None:
    path = "/endpoints/?q=llama&page=3"

    burn = render("{% sort_header 'Now' 'burn' sort='-burn' is_number=True target='#list' %}", path=path)
    name = render("{% sort_header 'Name' 'name' sort='-burn' %}", path=path)

    assert 'aria-sort="descending"' in burn
    assert 'href="/endpoints/?q=llama&amp;sort=burn"' in burn
    assert 'hx-target="#list"' in burn
    assert "aria-sort" not in name
    assert 'href="/endpoints/?q=llama&amp;sort=name"' in name
    assert "hx-" not in name


def test_pagination_says_where_one_is() -> None:
    page = Paginator(range(120), 50).page(2)

    html = render("{% pagination page noun='endpoints' %}", page=page, path="/endpoints/?q=a")

    assert words(html) == "51–100 of 120 endpoints Previous Page 2 of 3 Next"
    assert 'href="/endpoints/?q=a&amp;page=1"' in html
    assert 'href="/endpoints/?q=a&amp;page=3"' in html


def test_a_destructive_item_is_last_after_a_rule() -> None:
    items = [
        MenuItem("Stop", "/stop/", "stop", detail="saves $43.20/h", is_destructive=True, opens_dialog=True),
        MenuItem("Change replicas", "/scale/", "sliders"),
    ]

    html = render("{% row_menu 'menu-1' 'More' items %}", items=items)

    assert html.index("Change replicas") < html.index("<hr") < html.index("Stop")
    assert 'href="/stop/" hx-get="/stop/" hx-target="#dialog"' in html
    assert 'popovertarget="menu-1"' in html


def test_a_refused_field_is_tied_to_its_error_and_help() -> None:
    class Sample(forms.Form):
        name = forms.CharField(help_text="How people call it.")

    html = render("{% field form.name %}", form=Sample({"name": ""}))

    assert 'aria-describedby="id_name_error id_name_help"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_name_error"' in html
    assert 'id="id_name_help"' in html
    assert '<label for="id_name">' in html


def test_a_payload_is_shown_word_for_word_and_escaped() -> None:
    html = render("{% raw_payload payload %}", payload={"message": "<script>alert(1)</script>"})

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_sparkline_tells_unknown_from_nothing() -> None:
    assert words(render("{% sparkline v 'x' %}", v=[0, 0, 0])) == "no traffic"
    assert words(render("{% sparkline v 'x' %}", v=[])) == "no data"
    assert words(render("{% sparkline v 'x' %}", v=[None, None])) == "no data"
    assert 'aria-label="Requests"' in render("{% sparkline v 'Requests' %}", v=[1, 2])


def test_a_gap_breaks_the_line_of_a_sparkline() -> None:
    spark = charts.draw_sparkline([1, 2, None, 4, 4])

    assert spark is not None
    assert spark.line.count("M") == 2
    assert spark.area.count("Z") == 2


def test_lanes_are_cut_to_their_day() -> None:
    day = datetime(2026, 11, 18, tzinfo=UTC)
    spans = [
        charts.StateSpan(day - timedelta(hours=5), day + timedelta(hours=6), "run", "running"),
        charts.StateSpan(day + timedelta(hours=18), day + timedelta(hours=30), "idle", "idle"),
        charts.StateSpan(day + timedelta(hours=30), day + timedelta(hours=31), "run", "tomorrow"),
    ]

    lane = charts.draw_lane(spans, start=day, end=day + timedelta(days=1))

    assert [(span.x, span.width, span.role) for span in lane] == [(0, 250, "run"), (750, 250, "idle")]


def test_the_shell_leaves_out_what_is_not_known() -> None:
    shell = Shell(nav=(NavItem("Overview", "/", "overview", is_current=True),))

    html = render_to_string("layout.html", {"shell": shell, "now": NOW, "user": "Ines"})

    assert "Burning now" not in html
    assert "data-live-url" not in html
    assert 'aria-current="page"' in html


def test_the_shell_shows_burn_as_a_range_where_it_is_one() -> None:
    shell = Shell(nav=(), burn=BurnMeter(5_400_000_000, 10_800_000_000))

    html = render_to_string("layout.html", {"shell": shell, "now": NOW, "user": "Ines"})

    assert "$5.40–10.80/h" in html
    assert "of which idle" not in html


# --- One URL, two renderings ------------------------------------------------------------------------------------


def ask(**headers: str) -> HttpRequest:
    return RequestFactory().get("/", headers=headers)


def test_a_fragment_is_wanted_only_by_partial_requests_of_htmx() -> None:
    assert is_partial(ask(hx_request="true", hx_request_type="partial"))
    assert not is_partial(ask())
    assert not is_partial(ask(hx_request="true", hx_request_type="full"))
    assert not is_partial(ask(hx_request="true", hx_history_restore_request="true"))
    assert is_dialog(ask(hx_request="true", hx_target="dialog#dialog"))
    assert not is_dialog(ask(hx_request="true", hx_target="section#list"))


def test_a_taken_act_closes_the_dialog_or_redirects() -> None:
    toast = Toast("Stopped <b>", links=(("Receipt", "/receipts/1/"),))

    partial = finish_dialog(ask(hx_request="true"), redirect_to="/endpoints/", toasts=[toast])
    whole = finish_dialog(ask(), redirect_to="/endpoints/", toasts=[toast])

    assert partial["HX-Reswap"] == "none"
    assert "desk:close-dialog" in partial["HX-Trigger"]
    assert b"Stopped &lt;b&gt;" in partial.content
    assert b'hx-target="#toasts"' in partial.content
    assert whole.status_code == 302
    assert whole["Location"] == "/endpoints/"


# --- Rules over all templates and files -------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(path.parents[1])))
def test_templates_carry_nothing_inline_that_the_csp_refuses(path: Path) -> None:
    source = re.sub(r"{% comment %}.*?{% endcomment %}", "", path.read_text(), flags=re.DOTALL)

    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|\shx-on|javascript:|[\"']js:", source)
    assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))", source)
    assert not re.search(r"hx-trigger=\"([^\"]*,\s*)?[\w:-]+\[", source), (
        "a filter of a trigger is evaluated: the CSP refuses"
    )
    assert "|safe" not in source


def test_icons_that_templates_and_code_name_are_in_the_sprite() -> None:
    ids = {
        symbol.get("id") for symbol in ElementTree.parse(SPRITE).iter("{http://www.w3.org/2000/svg}symbol")
    }
    used = {
        name for path in TEMPLATES for name in re.findall(r"{% icon [\"']([a-z-]+)[\"']", path.read_text())
    }

    assert used
    assert used <= ids


def test_raw_colours_stand_in_tokens_only() -> None:
    css = Path(settings.BASE_DIR) / "static" / "css"
    for path in css.glob("*.css"):
        source = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)

        assert "!important" not in source
        assert not re.search(r"(^|[\s,}])#[a-zA-Z][\w-]*\s*[{,]", source), "styles hang on classes, not ids"
        if path.name != "tokens.css":
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b|oklch\(|rgba?\(|hsla?\(|light-dark\(", source), (
                path.name
            )


def test_classes_of_templates_carry_the_prefix_or_are_tablers() -> None:
    tablers = {"btn", "form-control", "form-select", "form-check-input"}
    for path in TEMPLATES:
        source = re.sub(r"{[{%].*?[%}]}", "", path.read_text(), flags=re.DOTALL)
        for names in re.findall(r'\sclass="([^"]*)"', source):
            foreign = {name for name in names.split() if not name.startswith("ui-")} - tablers

            assert not foreign, f"{path.name}: {foreign}"
