"""What is played where the real one cannot be had: Google Cloud, and the plug-ins that cannot be downloaded."""
