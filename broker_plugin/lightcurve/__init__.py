"""Light curves that grow: merge epochs whatever their order, keep them bounded, tell when a window is due."""
