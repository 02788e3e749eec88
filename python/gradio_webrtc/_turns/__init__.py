"""From audio to turns, and from a turn to its reply. Knows no session."""
