"""What is watched on AWS: alarms with their runbooks, the dashboard, and who is told."""
