"""What an installation consists of: its programs, their names, images, ports and resources."""
