"""What listens: stages for sound, one file a family; importing registers."""
