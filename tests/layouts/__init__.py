"""Data sets in the layout that their owners deliver, made of synthetic faces.

No real person is in them. A module a set, each with a function `make`; as a program,
`python -m tests.layouts bp4d FOLDER` makes one.
"""
