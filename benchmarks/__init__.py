"""What each stage costs beside what a user would use instead; ``python -m benchmarks --help``."""
