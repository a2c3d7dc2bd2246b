"""The same system on AWS: the CDK app, one construct per file."""
