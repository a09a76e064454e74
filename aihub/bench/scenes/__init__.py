"""Drawn scenes: each module gives endless pictures of one; `aihub.bench.footage` makes clips of them."""
