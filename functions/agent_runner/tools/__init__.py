"""The tools. One file each; the registry finds them by itself."""
