"""Why a call went as it did: how its server looked meanwhile, what is known of it now, and what that comes to.

Calls do not depend on any of this, and nothing here decides what a call does.
"""
