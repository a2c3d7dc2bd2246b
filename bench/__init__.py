"""Speed and memory beside a bare loop, in one run."""
