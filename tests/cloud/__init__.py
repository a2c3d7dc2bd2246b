"""The real stack on a local cloud: deployed once, talked with as anybody would."""
