"""Attacks on a running installation: real processes on a real Kafka, judged by the audit."""
