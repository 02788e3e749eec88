"""What exists for older programs only."""
