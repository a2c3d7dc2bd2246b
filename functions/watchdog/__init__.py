"""Each minute: a look at the runs that fell silent."""
