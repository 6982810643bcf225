"""What stands in for a cloud on a machine without one."""
