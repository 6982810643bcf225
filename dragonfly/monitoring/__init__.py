"""What Prometheus reads of an installation, and what somebody is told of."""
