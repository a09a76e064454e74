"""How the project's own models are made: data, training, export, figures. Needs the extra `recipes`; serving never does."""
