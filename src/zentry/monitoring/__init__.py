"""Samples of machines, the dashboard, the platform's own health, and metrics for Prometheus."""
