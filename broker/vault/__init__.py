"""Seals secrets at rest: AES-256-GCM, a data key a record, wrapped by the master key."""
