import pytest

from simulator.faults import KINDS, Fault, FaultBook, parse_fault


def fault(sim, kind, **fields):
    return sim.admin("POST", "/faults", {"kind": kind, **fields})["fault_id"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limit", 429),
        ("rate_limit_retry_after", 429),
        ("rate_limit_reset", 429),
        ("gpu_quota", 429),
        ("server_error", 500),
        ("unavailable", 503),
        ("gateway_timeout", 504),
        ("overloaded", 529),
        ("empty_body", 502),
        ("html_error", 502),
        ("html_ok", 200),
        ("grpc_error", 500),
        ("text_error", 500),
        ("revoked_key", 401),
        ("payment_required", 402),
        ("forbidden", 403),
        ("not_found", 404),
        ("conflict", 409),
    ],
)
def test_a_refusal_answers_as_documented_and_nothing_happens(sim, kind, status):
    fault(sim, kind, method="POST", times=1)

    answer = sim.ask("POST", sim.base, {"name": "bot"})

    assert answer.status_code == status
    assert sim.get(sim.base)["data"] == []
    assert sim.ask("POST", sim.base, {"name": "bot"}).status_code == 200  # once only


def test_rate_limits_with_and_without_headers(sim):
    def headers(kind, **fields):
        fault(sim, kind, times=1, **fields)
        return sim.ask("GET", sim.base).headers

    assert not {"retry-after", "x-ratelimit-reset"} & set(headers("rate_limit"))
    assert headers("rate_limit_retry_after", retry_after=7)["retry-after"] == "7"
    assert headers("rate_limit_reset", retry_after=0.5)["x-ratelimit-reset"] == "0.5"


def test_html_comes_as_html_even_with_200(sim):
    fault(sim, "html_ok", times=1)
    answer = sim.ask("GET", sim.base)

    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_the_gateway_shape(sim):
    fault(sim, "gpu_quota", times=1)
    body = sim.ask("GET", sim.base).json()

    assert body["code"] == 8
    assert body["details"][0]["detail"] == "GPU quota exceeded"


def test_a_fault_hits_its_route_and_method_only(sim):
    fault(sim, "server_error", route="/v2/projects/*/endpoints", method="GET")

    sim.get(sim.base, status=500)
    endpoint_id = sim.create_endpoint()
    sim.get(f"{sim.base}/{endpoint_id}")
    sim.get("/v1/projects")


def test_a_fault_can_hit_one_key_or_begin_later(sim):
    sim.admin("POST", "/keys", {"key": "second"})
    fault(sim, "revoked_key", key="second")
    fault(sim, "unavailable", skip=2, times=1)

    assert [sim.ask("GET", "/v3/whoami", key="second").status_code for _ in range(2)] == [401, 401]
    assert [sim.ask("GET", "/v3/whoami").status_code for _ in range(2)] == [503, 200]


def test_chances_repeat_with_the_seed():
    def run():
        book = FaultBook(seed=3)
        book.add(Fault("server_error", probability=0.3))
        return [bool(book.match(path="/", method="GET", key="")) for _ in range(200)]

    first = run()
    assert first == run()
    assert 30 < sum(first) < 90


def test_faults_are_listed_counted_and_removed(sim):
    identifier = fault(sim, "server_error")
    sim.get(sim.base, status=500)

    assert sim.admin("GET", "/faults")[0]["hits"] == 1
    sim.admin("DELETE", f"/faults/{identifier}")
    sim.get(sim.base)
    fault(sim, "server_error")
    sim.admin("DELETE", "/faults")
    assert sim.admin("GET", "/faults") == []


def test_an_unknown_kind_is_refused(sim):
    sim.admin("POST", "/faults", {"kind": "gremlins"}, status=400)
    with pytest.raises(ValueError, match="unknown property"):
        parse_fault("kind=reset,colour=red")


def test_faults_of_the_command_line():
    parsed = parse_fault("kind=rate_limit,route=/v2/*,method=GET,times=3,probability=0.5")

    assert (parsed.kind, parsed.route, parsed.method, parsed.times) == ("rate_limit", "/v2/*", "GET", 3)
    assert parse_fault("reset").kind == "reset"
    assert len(KINDS) > 30


def test_unknown_fields_and_enum_members(sim):
    sim.start_deployment()
    fault(sim, "unknown_fields", times=1)
    fault(sim, "unknown_enums", times=1)

    item = sim.get(sim.base)["data"][0]

    assert item["xFutureField"]
    assert item["deployments"][0]["state"] == "DEPLOYMENT_STATE_HIBERNATING"
    assert "xFutureField" not in sim.get(sim.base)["data"][0]


def test_lists_that_lie(sim):
    ids = [sim.create_endpoint(f"e{number}") for number in range(3)]

    def listed(kind):
        fault(sim, kind, times=1)
        return sim.get(sim.base)

    assert len(listed("missing_item")["data"]) == 2
    assert listed("empty_list") == {"object": "list", "data": [], "next_cursor": None}
    assert len(listed("duplicate_page")["data"]) == 6
    broken = listed("malformed_item")["data"]
    assert [item["name"] == 17 for item in broken] == [False, True, False]
    assert {item["id"] for item in sim.get(sim.base)["data"]} == set(ids)


def test_a_cursor_that_never_ends(sim):
    for number in range(3):
        sim.create_endpoint(f"e{number}")
    fault(sim, "cursor_loop", route="*/endpoints")

    first = sim.get(f"{sim.base}?limit=1")
    second = sim.get(f"{sim.base}?limit=1")

    assert first == second
    assert first["next_cursor"]


def test_a_stop_that_is_accepted_and_does_nothing(sim):
    ids = sim.start_deployment()
    fault(sim, "stop_ignored", method="PATCH", times=1)

    assert sim.stop(ids)["autoscaling"]["maxReplicas"] == 0
    sim.advance(3600)
    assert sim.state(ids) == "READY"

    sim.stop(ids)  # asked again, it works
    sim.advance(90)
    assert sim.state(ids) == "STOPPED"


def test_a_stop_that_never_ends_keeps_billing(sim):
    ids = sim.start_deployment()
    fault(sim, "stop_endless", method="PATCH", times=1)
    sim.stop(ids)
    sim.advance(7200)

    assert sim.state(ids) == "STOPPING"
    assert sim.get(sim.path(*ids))["status"]["readyReplicas"] == 1
    assert sim.admin("GET", "/bill")["cost_usd"] == "10.98"


def test_a_teardown_that_fails(sim):
    ids = sim.start_deployment()
    fault(sim, "stop_fails", method="PATCH", times=1)
    sim.stop(ids)
    sim.advance(90)

    assert sim.state(ids) == "FAILED"


def test_v1_stops_know_the_same_faults(sim):
    identifier = sim.add_legacy()
    fault(sim, "stop_ignored", method="PATCH", times=1)

    assert sim.send("PATCH", f"/v1/endpoints/{identifier}", {"state": "STOPPED"})["state"] == "STARTED"
    assert sim.send("PATCH", f"/v1/endpoints/{identifier}", {"state": "STOPPED"})["state"] == "STOPPING"


def test_a_deployment_deleted_meanwhile(sim):
    ids = sim.start_deployment()
    fault(sim, "deleted_meanwhile", method="PATCH", times=1)

    sim.stop(ids, status=404)

    assert sim.get(f"{sim.base}/{ids[0]}")["deployments"] == []


def test_an_answer_lost_after_the_effect(sim):
    fault(sim, "answer_lost", method="POST", times=1)

    with pytest.raises(ConnectionResetError):
        sim.create_endpoint("bot")

    assert len(sim.get(sim.base)["data"]) == 1


def test_forced_states_go_on_from_there(sim):
    ids = sim.start_deployment(autoscaling={"minReplicas": 2, "maxReplicas": 2})
    path = f"/deployments/{ids[1]}/state"

    sim.admin("POST", path, {"state": "DEGRADED"})
    assert sim.get(sim.path(*ids))["status"]["readyReplicas"] == 1
    sim.advance(240)
    assert sim.state(ids) == "READY"

    sim.admin("POST", path, {"state": "STOPPING"})
    sim.advance(90)
    assert sim.state(ids) == "STOPPED"

    sim.admin("POST", path, {"state": "PROVISIONING", "stay": True})
    sim.advance(36_000)
    assert sim.state(ids) == "PROVISIONING"
    sim.admin("POST", path, {"state": "SLEEPING"}, status=400)


def test_starts_can_get_stuck(sim):
    ids = sim.start_deployment()
    sim.stop(ids)
    sim.advance(90)
    sim.admin("POST", f"/deployments/{ids[1]}/behaviour", {"starts_get_stuck": True})
    sim.patch(ids, {"autoscaling": {"minReplicas": 1, "maxReplicas": 1}})

    sim.advance(6 * 3600 - 1)
    assert sim.state(ids) == "PROVISIONING"
    sim.advance(1)
    assert sim.state(ids) == "FAILED"


def test_requests_are_logged_with_body_status_and_fault(sim):
    endpoint_id = sim.create_endpoint("bot")
    fault(sim, "rate_limit", times=1)
    sim.get(f"{sim.base}?limit=2", status=429)

    post, get = sim.admin("GET", "/requests")

    assert (post["method"], post["path"], post["body"], post["status"]) == (
        "POST",
        sim.base,
        {"name": "bot"},
        200,
    )
    assert (get["query"], get["status"], get["faults"]) == ({"limit": "2"}, 429, ["rate_limit"])
    assert [entry["method"] for entry in sim.admin("GET", "/requests?method=POST")] == ["POST"]
    assert sim.admin("GET", f"/requests?path={sim.base}/{endpoint_id}") == []
    sim.admin("DELETE", "/requests")
    assert sim.admin("GET", "/requests") == []
