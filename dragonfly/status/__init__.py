"""What runs of a stack, and why what does not run does not: `.venv/bin/python -m dragonfly.status --stack NAME`."""
