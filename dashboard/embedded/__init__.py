"""The one-machine default: real PostgreSQL and Redis from wheels and the supervision of every process."""
