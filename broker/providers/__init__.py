"""The servers behind the broker: their dialects, and the one door to them."""
