"""Results for people: Markdown, and one HTML page that needs nothing beside it."""
