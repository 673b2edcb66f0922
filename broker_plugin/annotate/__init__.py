"""From a scored window to what is published about it."""
