"""Jobs: the run owned, the agent run, each event committed and posted."""
