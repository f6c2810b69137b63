"""The commands of `ragloom`, by what they are about."""
