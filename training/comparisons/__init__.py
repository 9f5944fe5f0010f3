"""How each system's finished runs become one table; `evaluate.py` picks the system's module."""
