"""One full body of each resource of issue 3, after the examples of the contract (sections 3.8, 5-9 and 13)."""

from typing import Any

from dashboard.together_api.payloads import (
    Batch,
    Cluster,
    ClusterRegion,
    Container,
    Evaluation,
    File,
    FineTune,
    FineTuneCheckpoint,
    FineTuneEvent,
    FineTunePriceEstimate,
    ModelConfig,
    ModelFiles,
    ModelRevision,
    ModelUpload,
    ProjectModel,
    Resource,
    RlCost,
    RlResource,
    RlSession,
    UploadEvent,
    V1Job,
    V1UploadTicket,
    Volume,
)

Body = dict[str, Any]

FINE_TUNE_EVENT: Body = {
    "object": "fine-tune-event",
    "type": "epoch_complete",
    "level": "info",
    "message": "Epoch 1 is done",
    "created_at": "2026-11-18T08:40:00Z",
    "step": 40,
    "total_steps": 120,
    "token_count": 610_000,
}
FINE_TUNE: Body = {
    "id": "ft-6567602b-4aa3-4d0e-9c1f-0f2f9a1b7c11",
    "status": "running",
    "user_id": "user_01",
    "created_at": "2026-11-18T08:00:00Z",
    "started_at": "2026-11-18T08:02:00Z",
    "updated_at": "2026-11-18T09:12:00Z",
    "model": "Qwen/Qwen3.5-9B",
    "model_output_name": "acme/Qwen3.5-9B-support-1a2b3c4d",
    "training_file": "file-5e1f",
    "n_epochs": 3,
    "batch_size": "max",
    "epochs_completed": 1,
    "steps_completed": 40,
    "total_steps": 120,
    "token_count": 1_850_000,
    "total_price": 6_710_000_000,
    "queue_depth": 0,
    "training_type": {"type": "Lora", "lora_r": 8, "lora_alpha": 16},
    "training_method": {"method": "sft", "train_on_inputs": "auto"},
    "progress": {"estimate_available": True, "seconds_remaining": 5400},
    "events": [FINE_TUNE_EVENT],
}
CHECKPOINT: Body = {
    "step": 40,
    "checkpoint": "adapter",
    "checkpoint_type": "Intermediate (step 40)",
    "path": "s3://bucket/ft/40",
    "created_at": "2026-11-18T08:40:00Z",
    "object_id": "ml_1",
}
ESTIMATE: Body = {
    "estimation_available": True,
    "estimated_total_price": 6.71,
    "user_limit": 100.0,
    "allowed_to_proceed": True,
    "estimated_train_token_count": 1_850_000.0,
    "estimated_eval_token_count": 0.0,
}
BATCH: Body = {
    "id": "01234567-8901-2345-6789-012345678901",
    "status": "IN_PROGRESS",
    "progress": 42.0,
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-b1",
    "file_size_bytes": 1_048_576,
    "model_id": "Qwen/Qwen3.5-9B",
    "created_at": "2026-11-20T07:00:00Z",
    "job_deadline": "2026-11-21T07:00:00Z",
}
EVALUATION: Body = {
    "workflow_id": "eval-1234aedf",
    "type": "score",
    "status": "completed",
    "owner_id": "user_01",
    "parameters": {"model_to_evaluate": "Qwen/Qwen3.5-9B"},
    "results": {
        "aggregated_scores": {"mean_score": 7.4, "std_score": 1.2, "pass_percentage": 88.0},
        "failed_samples": 0.0,
        "result_file_id": "file-e9",
    },
    "status_updates": [{"status": "queued", "message": "", "timestamp": "2026-11-19T10:00:01Z"}],
    "created_at": "2026-11-19T10:00:00Z",
    "updated_at": "2026-11-19T10:05:00Z",
}
FILE: Body = {
    "id": "file-5e1f",
    "object": "file",
    "filename": "train.jsonl",
    "bytes": 10_485_760,
    "created_at": 1_763_600_000,
    "purpose": "fine-tune",
    "FileType": "jsonl",
    "processing_status": "COMPLETED",
    "validation_report": {"valid": True, "nlines": 1200, "dataset_format": "CONVERSATION"},
}
V1_JOB: Body = {
    "type": "model_upload",
    "job_id": "job-a15dad11",
    "status": "Complete",
    "status_updates": [
        {"status": "Complete", "message": "Job is Complete", "timestamp": "2025-03-11T22:36:12Z"}
    ],
    "args": {"modelName": "acme/Qwen2.5", "modelSource": "unsloth/Qwen2.5", "description": "ours"},
    "created_at": "2025-03-11T22:05:43Z",
    "updated_at": "2025-03-11T22:36:12Z",
}
V1_TICKET: Body = {
    "job_id": "job-a15dad11",
    "model_id": "model-c0e3",
    "model_name": "acme/Qwen2.5",
    "model_source": "huggingface",
}
UPLOAD: Body = {
    "id": "job_1",
    "modelId": "ml_1",
    "projectId": "proj_1",
    "status": "REMOTE_UPLOAD_STATUS_RUNNING",
    "statusMessage": "3 of 8 files",
    "restartCount": 0,
    "maxRestarts": 3,
    "createdAt": "2026-11-20T09:00:00Z",
}
UPLOAD_EVENT: Body = {
    "id": "evt_1",
    "type": "download.started",
    "level": "LEVEL_INFO",
    "message": "Started",
    "createdAt": "2026-11-20T09:00:00Z",
}
REVISION: Body = {
    "revisionId": "rv_1",
    "createdAt": "2026-11-20T09:00:00Z",
    "validationStatus": "REVISION_VALIDATION_STATUS_FAILED",
    "validationErrors": [{"message": "no tokenizer", "rule": "tokenizer", "severity": "ERROR"}],
}
MODEL_FILES: Body = {
    "object": "list",
    "revisionId": "rv_1",
    "totalSizeBytes": "9007199254740993",
    "data": [{"path": "model.safetensors", "sizeBytes": "9007199254740000", "hash": "ab" * 32}],
}
PROJECT_MODEL: Body = {
    "id": "ml_1",
    "name": "acme/support",
    "projectId": "proj_1",
    "organizationId": "org_1",
    "visibility": "VISIBILITY_PRIVATE",
    "weights": {"type": "WEIGHTS_TYPE_ADAPTER", "contextLength": "131072"},
}
CONFIG: Body = {
    "id": "cr_1",
    "projectId": "proj_platform",
    "referenceModel": "projects/proj_platform/models/ml_1",
    "referenceModelId": "ml_1",
    "selectors": [
        {"key": "accelerator_type", "value": "nvidia-h100-80gb"},
        {"key": "accelerator_count", "value": "2"},
    ],
    "certifications": [],
}
CLUSTER: Body = {
    "cluster_id": "c1f0a1d2-77aa-4c1e-9b3e-2f1b0c9d8e7f",
    "cluster_name": "train-h100",
    "cluster_type": "SLURM",
    "region": "us-central-8",
    "project_id": "proj_1",
    "gpu_type": "H100_SXM",
    "num_gpus": 16,
    "num_reserved_gpus": 8,
    "num_capacity_pool_gpus": 0,
    "num_cpu_workers": 1,
    "desired_preemptible_gpus": 0,
    "allocated_preemptible_gpus": 0,
    "billing_type": "RESERVED",
    "status": "Ready",
    "cuda_version": "12.8",
    "nvidia_driver_version": "570",
    "created_at": "2026-11-01T00:00:00Z",
    "reservation_start_time": "2026-11-01T00:00:00Z",
    "reservation_end_time": "2026-12-01T00:00:00Z",
    "control_plane_nodes": [
        {"node_id": "cp-1", "host_name": "cp1", "status": "Running", "num_cpu_cores": 8, "memory_gib": 32.0,
         "network": "10.0.0.1", "phase_transitions": []}
    ],
    "gpu_worker_nodes": [
        {"node_id": "w-1", "host_name": "w1", "status": "Running", "num_cpu_cores": 96, "memory_gib": 1024.0,
         "num_gpus": 8, "networks": ["ib0"],
         "phase_transitions": [
             {"phase": "NODE_PHASE_RUNNING", "transition_time": "2026-11-01T00:10:00Z"}
         ]}
    ],
    "volumes": [{"volume_id": "vol-1", "volume_name": "data", "size_tib": 10, "status": "bound"}],
    "add_ons": [],
    "phase_transitions": [{"phase": "CLUSTER_PHASE_READY", "transition_time": "2026-11-01T00:20:00Z"}],
}  # fmt: skip
REGION: Body = {
    "name": "us-central-8",
    "supported_instance_types": ["H100_SXM"],
    "driver_versions": [{"id": "d1", "os": "ubuntu", "cuda_version": "12.8", "nvidia_driver_version": "570"}],
}
VOLUME: Body = {"volume_id": "vol-1", "volume_name": "data", "size_tib": 10, "status": "available"}
CONTAINER: Body = {
    "id": "1b7c0000",
    "object": "deployment",
    "name": "whisper-worker",
    "image": "registry.together.ai/acme/whisper:3",
    "status": "Ready",
    "gpu_type": "h100-80gb",
    "gpu_count": 1,
    "cpu": 4.0,
    "memory": 32.0,
    "storage": 100,
    "capacity_type": "stable",
    "min_replicas": 0,
    "max_replicas": 4,
    "desired_replicas": 1,
    "ready_replicas": 1,
    "autoscaling": {"metric": "QueueBacklogPerWorker", "target": 1.01},
    "replica_events": {
        "r-1": {
            "replica_status": "Running",
            "replica_ready_since": "2026-11-20T09:00:00Z",
            "volume_preload_status": "InProgress",
            "volume_preload_started_at": "2026-11-20T08:59:00Z",
        }
    },
    "environment_variables": [{"name": "MODE"}],
    "volumes": [{"name": "weights", "mount_path": "/data", "version": 2}],
    "created_at": "2026-11-01T00:00:00Z",
    "updated_at": "2026-11-20T09:00:00Z",
}
RL_RESOURCE: Body = {
    "id": "rlres_1",
    "base_model": "Qwen/Qwen3.5-9B",
    "compute_config": {"gpu_type": "H100-80GB", "num_generator_replicas": 2},
    "inactive_timeout": 3600,
    "lora_enabled": True,
    "status": "MODEL_RESOURCES_STATUS_PENDING",
    "status_details": {"queue_position": 3},
    "created_by": "user_01",
    "created_at": "2026-11-20T09:00:00Z",
    "updated_at": "2026-11-20T09:00:00Z",
    "expires_at": "2026-11-20T10:00:00Z",
}
RL_SESSION: Body = {
    "id": "rls_1",
    "model_resources_id": "rlres_1",
    "base_model": "Qwen/Qwen3.5-9B",
    "display_name": "first try",
    "status": "TRAINING_SESSION_STATUS_RUNNING",
    "step": "12",
    "policy_state": {"trainer_step": 12, "applied_weights_version": 11, "pending_publish": True},
    "created_by": "user_01",
    "created_at": "2026-11-20T09:00:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}
RL_COST: Body = {"currency": "USD", "price_per_hour": 21.96}

# Class, full body, and the wire name of what identifies it (None = it has no identity of its own).
BODIES: list[tuple[type[Resource], Body, str | None]] = [
    (FineTune, FINE_TUNE, "id"),
    (FineTuneEvent, FINE_TUNE_EVENT, "type"),
    (FineTuneCheckpoint, CHECKPOINT, "step"),
    (FineTunePriceEstimate, ESTIMATE, None),
    (Batch, BATCH, "id"),
    (Evaluation, EVALUATION, "workflow_id"),
    (File, FILE, "id"),
    (V1Job, V1_JOB, "job_id"),
    (V1UploadTicket, V1_TICKET, "job_id"),
    (ModelUpload, UPLOAD, "id"),
    (UploadEvent, UPLOAD_EVENT, "id"),
    (ModelRevision, REVISION, "revisionId"),
    (ModelFiles, MODEL_FILES, None),
    (ProjectModel, PROJECT_MODEL, "id"),
    (ModelConfig, CONFIG, "id"),
    (Cluster, CLUSTER, "cluster_id"),
    (ClusterRegion, REGION, "name"),
    (Volume, VOLUME, "volume_id"),
    (Container, CONTAINER, "id"),
    (RlResource, RL_RESOURCE, "id"),
    (RlSession, RL_SESSION, "id"),
    (RlCost, RL_COST, None),
]
