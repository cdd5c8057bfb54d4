"""A study file, the plan that its experiments make, and one training run."""
