"""The three stages: wiring between the pure domain code and the runner's protocol."""
