"""What a call costs: a price book with provenance."""
