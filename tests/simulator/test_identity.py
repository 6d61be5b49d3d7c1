from simulator.errors import BAD_KEY
from tests.simulator.sim import Sim


def test_a_key_tells_who_it_is(sim):
    who = sim.get("/v3/whoami")
    flat = sim.get("/v1/whoami")

    assert who["type"] == "project_api_key"
    assert who["organization"]["name"] == "fernhill"
    assert flat["project_id"] == who["project"]["id"] == sim.project.project_id
    assert flat["api_key_id"] == who["api_key"]["id"]


def test_a_bad_key_gets_the_documented_refusal_on_every_resource(sim):
    for path in ("/v3/whoami", "/v1/endpoints", sim.base, "/v1/billing/usage", "/v2/supported-models"):
        for key in ("wrong", None):
            refusal = sim.get(path, key=key, status=401)["error"]
            assert refusal == {
                "message": BAD_KEY,
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_api_key",
            }


def test_the_model_list_refuses_in_a_shape_of_its_own(sim):
    assert sim.get("/v1/models", key="wrong", status=401) == {"error": {"message": "Unauthorized"}}


def test_a_key_sees_the_projects_of_its_organisation_only(sim):
    sim.admin("POST", "/keys", {"key": "foreign", "project": "thornfield-lab"})

    mine = sim.get("/v1/projects")["data"]
    theirs = sim.get("/v1/projects", key="foreign")["data"]

    assert [project["slug"] for project in mine] == ["fernhill-support"]
    assert [project["slug"] for project in theirs] == ["thornfield-lab"]
    sim.get(sim.base, key="foreign", status=404)


def test_a_revoked_key_is_refused_from_then_on(sim):
    sim.admin("POST", "/keys", {"key": "second"})
    sim.get("/v3/whoami", key="second")
    sim.admin("DELETE", "/keys/second")

    sim.get("/v3/whoami", key="second", status=401)
    sim.get("/v3/whoami")


def test_unknown_paths_and_methods_are_refused_as_json(sim):
    assert "error" in sim.get("/v1/nonsense", status=404)
    assert "error" in sim.send("PUT", "/v1/endpoints", {}, status=405)


def test_broken_json_is_refused(sim):
    headers = {"authorization": "Bearer sim-key"}
    answer = sim.runner.run(sim.client.post(sim.base, content=b"{", headers=headers))

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_every_answer_carries_a_request_id(sim):
    ids = {sim.ask("GET", "/v3/whoami").headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3


def test_any_id_mode_answers_every_id_and_changes_nothing():
    with Sim("demo", any_id=True) as sim:
        before = sim.admin("GET", "/world")
        path = "/v2/projects/projectId/endpoints/endpointId/deployments/id"

        sim.get(path, key="My API Key")
        sim.send("PATCH", path, {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}})
        sim.send("DELETE", path)

        assert sim.admin("GET", "/world") == before


def test_admin_routes_answer_on_loopback_only(sim):
    import httpx

    from simulator.app import build_app

    transport = httpx.ASGITransport(app=build_app(sim.world), client=("10.1.2.3", 5))
    client = httpx.AsyncClient(transport=transport, base_url="http://simulator")

    assert sim.runner.run(client.get("/_admin/clock")).status_code == 403
    assert sim.runner.run(client.get("/healthz")).status_code == 200
    sim.runner.run(client.aclose())
