"""Threads and tasks that run user code, and their owners. Imports errors alone."""
