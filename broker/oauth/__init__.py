"""The authorization server: request, consent, issue, refresh, revoke."""
