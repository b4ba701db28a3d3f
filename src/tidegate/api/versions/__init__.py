"""How the API was before: each documented difference of a version is one named, immutable change.

The views and documents speak the newest version. ``answers`` makes of a view what an older client expects, ``requests``
makes of an older client's document what it means today, ``parameters`` are what older versions do not know in a query.
What no rewriting can express is a property of ``api/profile.py``, where versions are compared, and nowhere else.

Source: the version history of the Engine API (moby ``api/docs/CHANGELOG.md``) and its routers.
"""
