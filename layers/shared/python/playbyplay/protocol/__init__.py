"""The wire: every frame of the delivery contract as a frozen model."""
