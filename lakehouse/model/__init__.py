"""What metadata can say and what a run reports: frozen words without I/O."""
