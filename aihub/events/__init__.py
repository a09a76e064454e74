"""The life of an alarm: lifecycle, evidence, outbox, sinks."""
