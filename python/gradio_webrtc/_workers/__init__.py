"""Threads and tasks that run user code, and who looks after them. Imports errors alone."""
