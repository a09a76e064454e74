"""What the algorithms about faces share: upright chips, embeddings, liveness, and the seam to galleries."""

from aihub.algorithms.faces import folders as _folders  # noqa: F401 - puts its galleries beneath all others
