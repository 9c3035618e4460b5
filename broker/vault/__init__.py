"""Seals secrets at rest: AES-256-GCM, a data key a record, wrapped by a master key; and changes the master key."""
