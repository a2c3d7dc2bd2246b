"""The contract under every fault: a judge of histories, and a world in virtual time to make them."""
