"""Every object in the cluster: names, pods, configs, secrets."""
