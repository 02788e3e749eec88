"""Programs of the package in browsers.

Their servers end with the folder, because each costs a part of a core.
"""
