"""Pages of what is rented by the hour: GPU clusters, shared volumes, containers, RL resources."""
