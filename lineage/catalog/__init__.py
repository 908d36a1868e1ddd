"""All the SQL there is, one file per family of tables; `open.py` says how it is reached."""
