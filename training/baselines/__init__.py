"""What the network must beat: forests on other features, and plain novelty detectors on the same ones."""
