"""Beside the paper: its tables as data, ours in the same columns, and what it says of them counted on both.

The paper is *Confident in a Confidence Score: Investigating the Sensitivity of Confidence Scores to Supervised
Fine-Tuning*. Its numbers are here, its sentences are not.
"""
