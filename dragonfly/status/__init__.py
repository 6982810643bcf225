"""What runs of a stack, and why what does not run does not: `python -m dragonfly.status --stack NAME`."""
