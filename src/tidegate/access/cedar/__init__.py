"""Rules in Cedar (https://www.cedarpolicy.com), evaluated by its own engine through ``cedarpy``.

- ``schema``: what a rule may speak of; a rule that speaks of anything else is refused when its file is read.
- ``statements``: where each rule stands in its file; the engine does not say.
- ``rules``: the engine with parsed rules in it. ``cedarpy`` is imported only where there are rules.
"""
