"""The network face: Ray Serve deployments and the HTTP API."""
