"""The AWS home as CloudFormation will see it: synthesised once, then read."""
