"""Jobs of the v1 API and what they read and write: files, fine-tunes, batches, evaluations."""
