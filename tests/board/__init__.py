"""Tests of the novelty page."""
