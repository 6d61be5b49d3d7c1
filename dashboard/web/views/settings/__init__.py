"""Settings: you, connections, users, teams, health."""
