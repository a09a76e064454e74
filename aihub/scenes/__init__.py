"""What the project draws itself, with known truth: for examples that need no file (`drawn:NAME`), and for cameras without media.

What is found on it is synthetic evidence, and marked so wherever it is used.
"""
