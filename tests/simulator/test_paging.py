import pytest


def walk(sim, path, limit):
    """Return (all items, number of pages)."""
    items, pages, cursor = [], 0, None
    joiner = "&" if "?" in path else "?"
    while True:
        page = sim.get(f"{path}{joiner}limit={limit}" + (f"&after={cursor}" if cursor else ""))
        items += page["data"]
        pages += 1
        cursor = page["next_cursor"]
        if not cursor:
            return items, pages


@pytest.mark.parametrize(("limit", "pages"), [(1, 7), (3, 3), (7, 1), (500, 1)])
def test_pages_join_to_the_whole_list(sim, limit, pages):
    made = []
    for number in range(7):
        made.append(sim.create_endpoint(f"e{number}"))
        sim.advance(number % 2)  # some are created in the same instant

    items, seen_pages = walk(sim, sim.base, limit)

    assert sorted(item["id"] for item in items) == sorted(made)
    assert seen_pages == pages


def test_a_deletion_between_pages_neither_skips_nor_repeats(sim):
    made = [sim.create_endpoint(f"e{number}") for number in range(6)]
    first = sim.get(f"{sim.base}?limit=3")
    sim.send("DELETE", f"{sim.base}/{first['data'][1]['id']}")

    second = sim.get(f"{sim.base}?limit=3&after={first['next_cursor']}")

    seen = [item["id"] for item in first["data"] + second["data"]]
    assert sorted(seen) == sorted(made)


def test_a_cursor_belongs_to_its_filters(sim):
    for number in range(3):
        sim.create_endpoint(f"e{number}")
    cursor = sim.get(f"{sim.base}?limit=1")["next_cursor"]

    sim.get(f"{sim.base}?limit=1&after={cursor}&orderBy=updated_at", status=400)
    sim.get(f"{sim.base}?limit=1&after=nonsense", status=400)
    sim.get(f"{sim.base}?limit=2&after={cursor}")


@pytest.mark.parametrize("limit", ["0", "501", "-1", "many"])
def test_limits_have_bounds(sim, limit):
    sim.get(f"{sim.base}?limit={limit}", status=400)


def test_order(sim):
    first = sim.create_endpoint("first")
    sim.advance(5)
    second = sim.create_endpoint("second")
    sim.advance(5)
    sim.send("PATCH", f"{sim.base}/{first}", {"visibility": "VISIBILITY_INTERNAL"})

    def ids(order):
        return [item["id"] for item in walk(sim, f"{sim.base}?orderBy={order}", 1)[0]]

    assert ids("created_at desc") == [second, first]
    assert ids("updated_at") == [second, first]
    assert ids("updated_at desc") == [first, second]
    sim.get(f"{sim.base}?orderBy=name", status=400)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('name:"bot"', ["bot-a", "bot-b"]),
        ('name:"*-a"', ["bot-a", "tool-a"]),
        ('name = "fernhill-support/tool-a"', ["tool-a"]),
        ('NOT name:"bot"', ["tool-a"]),
        ('name:"-a" AND name:"bot"', ["bot-a"]),
        ('name:"tool" OR (name:"bot" AND name:"-b")', ["bot-b", "tool-a"]),
        ('created_at > "2026-11-18T13:49:05Z"', ["tool-a"]),
        ('created_at <= "2026-11-18T13:49:05Z"', ["bot-a", "bot-b"]),
    ],
)
def test_filters(sim, expression, names):
    sim.create_endpoint("bot-a")
    sim.create_endpoint("bot-b")
    sim.advance(10)
    sim.create_endpoint("tool-a")

    found = sim.runner.run(
        sim.client.get(sim.base, params={"filter": expression}, headers={"authorization": "Bearer sim-key"})
    ).json()["data"]

    assert sorted(item["name"].rpartition("/")[2] for item in found) == names


@pytest.mark.parametrize(
    "expression", ["colour = red", "name", "name:", "(name:a", "created_at:2026", "a b c"]
)
def test_expressions_that_cannot_be_read_are_refused(sim, expression):
    refusal = sim.get(f"{sim.base}?filter={expression}", status=400)

    assert refusal["error"]["message"] == "invalid filter expression"


def test_deployments_can_be_filtered_by_state(demo):
    endpoint = next(item for item in demo.world.endpoints.values() if item.slug == "search-embed-e5")
    path = f"/v2/projects/{endpoint.project.project_id}/endpoints/{endpoint.endpoint_id}/deployments"

    found = demo.get(f"{path}?filter=state = DEPLOYMENT_STATE_STOPPED")["data"]

    assert [item["name"].rpartition("/")[2] for item in found] == ["e5-large-h200-canary"]
