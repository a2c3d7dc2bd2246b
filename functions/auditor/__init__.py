"""Each minute: what ought to be there and is not, seen from outside."""
