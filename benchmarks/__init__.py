"""Benchmarks of aftertune: how much the evidence costs beside the plain library calls, and beside a peer.

``python -m benchmarks`` from the project's root; see README.md in this folder.
"""
