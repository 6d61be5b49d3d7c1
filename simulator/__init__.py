"""A stateful stand-in for the Together API: its own program, which never imports dashboard or billing."""
