"""What the algorithms about faces share: upright chips, embeddings, liveness, and the seam to galleries."""
