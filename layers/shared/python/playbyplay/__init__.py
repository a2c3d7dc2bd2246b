"""What two or more functions need: the wire, the domain, the ports, the notifier."""
