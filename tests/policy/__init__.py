"""What the policy pack refuses."""
