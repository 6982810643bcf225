"""How Pulumi is run here: its stacks, its plug-ins, and what a killed one leaves."""
