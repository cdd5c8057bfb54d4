"""What is chosen from TruthfulQA, and which of its questions belong together."""
