"""From audio to turns, and from a turn to its reply. Depends on no session."""
