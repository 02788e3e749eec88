"""The user guide's programs. Their servers end with the folder: each costs a part of a core."""
