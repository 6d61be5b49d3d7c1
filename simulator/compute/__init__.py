"""What an organisation rents beside inference: clusters, shared volumes, containers, RL resources; state and bills."""
