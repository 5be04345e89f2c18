"""The same ping on other servers: each answers its request with the params it was sent."""
