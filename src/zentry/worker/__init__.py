"""The worker: every loop that runs beside the API."""
