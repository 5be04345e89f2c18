"""What users write a service with, and the way from a request to its handler and back. No sockets."""
