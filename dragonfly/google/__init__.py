"""What a cluster on Google Cloud is made of, and the rules of the config keys that shape it."""
