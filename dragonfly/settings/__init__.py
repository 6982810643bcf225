"""What a stack may say: the keys of its config, their rules, and the report of all faults at once."""
