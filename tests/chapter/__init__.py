"""The prefork server and the client that this protocol comes from, restated for Python 3 with their habits kept.

They read and write the prefix and the body separately, leave Nagle's algorithm on, know no method but `ping`, and a
process of the server dies of whatever it does not expect. The shell and the server have to get along with both.
"""
