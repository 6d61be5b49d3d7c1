"""Every read of the resources of issue 3: the call, and the path of the contract."""

from typing import Any

MODELS = "/v2/projects/p/models"
CLUSTERS = "/v1/compute/clusters"
RL = "/v1/rl/model-resources"

# One body that every payload reads.
ANY_BODY = {"id": "x", "workflow_id": "x", "cluster_id": "x", "volume_id": "x", "job_id": "x"}

READS: list[tuple[Any, str]] = [
    (lambda c: c.get_fine_tune("f"), "/v1/fine-tunes/f"),
    (lambda c: c.get_batch("b"), "/v1/batches/b"),
    (lambda c: c.get_evaluation("e"), "/v1/evaluation/e"),
    (lambda c: c.get_file("f"), "/v1/files/f"),
    (lambda c: c.get_v1_job("j"), "/v1/jobs/j"),
    (lambda c: c.get_upload("p", "u"), f"{MODELS}/uploads/u"),
    (lambda c: c.get_project_model("p", "m"), f"{MODELS}/m"),
    (lambda c: c.get_cluster("c"), f"{CLUSTERS}/c"),
    (lambda c: c.get_volume("v"), f"{CLUSTERS}/storage/volumes/v"),
    (lambda c: c.get_container("d"), "/v1/deployments/d"),
    (lambda c: c.get_rl_resource("r"), f"{RL}/r"),
    (lambda c: c.get_rl_session("s"), "/v1/rl/training-sessions/s"),
]
OTHER_READS: list[tuple[Any, str]] = [
    (lambda c: c.get_fine_tune_metrics("f", resolution=200), "/v1/fine-tunes/f/metrics?resolution=200"),
    (lambda c: c.get_model_files("p", "m", revision_id="rv"), f"{MODELS}/m/files?revisionId=rv"),
    (lambda c: c.get_file("../x"), "/v1/files/..%2Fx"),
]

# Key of the envelope ("" = a bare array), the call, its target, and what identifies an entry.
LISTS: list[tuple[str, Any, str, str]] = [
    ("data", lambda c: c.list_fine_tunes(), "/v1/fine-tunes", "id"),
    ("data", lambda c: c.list_fine_tune_events("f"), "/v1/fine-tunes/f/events", "type"),
    ("data", lambda c: c.list_fine_tune_checkpoints("f"), "/v1/fine-tunes/f/checkpoints", "step"),
    ("", lambda c: c.list_batches(), "/v1/batches", "id"),
    ("", lambda c: c.list_evaluations(), "/v1/evaluation?limit=1000", "workflow_id"),
    ("data", lambda c: c.list_files(), "/v1/files", "id"),
    ("data", lambda c: c.list_v1_jobs(), "/v1/jobs", "job_id"),
    ("data", lambda c: c.list_uploads("p"), f"{MODELS}/uploads?limit=500", "id"),
    ("data", lambda c: c.list_upload_events("p", "u"), f"{MODELS}/uploads/u/events?limit=500", "id"),
    ("data", lambda c: c.list_revisions("p", "m"), f"{MODELS}/m/revisions", "revisionId"),
    ("data", lambda c: c.list_configs("p", reference_model="projects/p/models/m"),
     "/v2/projects/p/configs?limit=500&referenceModel=projects%2Fp%2Fmodels%2Fm", "id"),
    ("clusters", lambda c: c.list_clusters(), CLUSTERS, "cluster_id"),
    ("clusters", lambda c: c.list_clusters(project_id="p"), f"{CLUSTERS}?projectId=p", "cluster_id"),
    ("regions", lambda c: c.list_regions(), "/v1/compute/regions", "name"),
    ("volumes", lambda c: c.list_volumes(), f"{CLUSTERS}/storage/volumes", "volume_id"),
    ("data", lambda c: c.list_containers(), "/v1/deployments", "id"),
    ("data", lambda c: c.list_rl_resources(), f"{RL}?limit=100", "id"),
    ("data", lambda c: c.list_rl_sessions(), "/v1/rl/training-sessions?limit=100", "id"),
]  # fmt: skip
