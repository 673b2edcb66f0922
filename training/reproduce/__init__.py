"""The whole experiment as one command: fits, scores, baselines, report; every step recorded and resumable."""
