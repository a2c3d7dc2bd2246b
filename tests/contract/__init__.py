"""One suite per port, the same for its fake and every adapter."""
