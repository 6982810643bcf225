"""How Pulumi is run here: its stacks, its plug-ins, and what a killed one leaves.

By the CLI, and not by `pulumi.automation`. Tried (3.272), it would save some twenty lines, and take as long to load as
all else of a command: 0.5 s of a processor. It asks for outputs twice, and its own copies of a stack's config stand
beside the project, where the tracked file is.
"""
