"""The user guide's programs.

Their servers end with the folder, because each costs a part of a core.
"""
