"""Pictures that a run leaves behind, a module for each kind.

Every function takes plain arrays, draws one figure and writes it to a path whose suffix names the
format (`.png`, `.pdf`, ...), as `canvas.write` does.
"""
