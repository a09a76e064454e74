"""The Open Inference Protocol (OIP v2, "KServe v2"): every model and every algorithm under the names stock clients use."""
