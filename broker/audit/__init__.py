"""What happened, in order, written with the change it records."""
