"""What each kind of Google Cloud resource does when it is made, changed or deleted."""
