"""The 2.x SDK on jobs: the same calls, with its own, older types."""

import json

from tests.contract.conftest import client_environment, run_python

SDK = """
import json, pathlib
from together import Together

client = Together(max_retries=0, _strict_response_validation=True)
path = pathlib.Path("train.jsonl")
path.write_text(json.dumps({"text": "hello"}) + chr(10))
stored = client.files.upload(path, purpose="fine-tune", check=False)
jobs = client.fine_tuning.list().data
for job in jobs:
    client.fine_tuning.retrieve(job.id)
    client.fine_tuning.list_events(job.id)
    client.fine_tuning.list_checkpoints(job.id)
print(json.dumps({
    "file": client.files.retrieve(stored.id).filename,
    "states": sorted({job.status for job in jobs}),
    "batches": len(client.batches.list()),
    "evaluations": len(client.evals.list()),
}))
"""


def test_the_older_sdk_reads_jobs(process, v1_client_folder, tmp_path):
    environment = client_environment(process, tmp_path, v1_folder=v1_client_folder)

    seen = json.loads(run_python(SDK, environment=environment).stdout)

    assert seen["file"] == "train.jsonl"
    assert {"completed", "cancelled", "error"} <= set(seen["states"])
    assert (seen["batches"], seen["evaluations"]) == (6, 10)
