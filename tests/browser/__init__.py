"""Programs of the package in browsers. Their servers end with the folder: each costs a part of a core."""
