"""Sound over HTTP: OpenAI's audio protocol, detections, and live sound over a WebSocket."""
