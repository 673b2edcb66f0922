"""Tests of the runner and its buses."""
