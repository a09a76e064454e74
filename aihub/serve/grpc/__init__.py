"""The Open Inference Protocol over gRPC, with health and reflection, for stock clients without a special header."""
