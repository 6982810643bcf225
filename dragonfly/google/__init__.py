"""What Google says of machines, disks, versions, places and names."""
