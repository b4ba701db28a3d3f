"""What a request may say: tables of every body and query of API 1.24 to 1.56, how to read them, what each field risks.

``tables.json`` is made from the specification by ``tools/request_tables``; the doors are ``spec/documents.py`` and
``spec/queries.py``.
"""
