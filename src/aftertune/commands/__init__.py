"""The doors, one file each: audit, run, analyze, quickstart and the Trainer's callback."""
