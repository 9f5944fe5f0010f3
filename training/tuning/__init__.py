"""How `training/tune.py` searches: what it varies, who proposes, who runs, what comes out."""
