"""What the shell notes about its calls: the bytes, where the time went, what the server was doing, and why.

An `Exchange` goes along with a call and takes the times and the bytes; an `Observer` keeps what is known of the latest
calls, counts all of them, and looks at a local server while one of them hangs. Commands show it. Calls do not depend on
any of this, and nothing here decides what a call does.
"""
