"""The runtimes by themselves, and the models that are measured on them: what the engine has to reach."""
