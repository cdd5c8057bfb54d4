"""What each command and the Trainer's callback do, one file each: audit, run, analyze, callback."""
