"""From plan to bookmark: which exports a run loads, in what order, and how far each table is.

Nothing in here knows Singer or Autodesk. An API is a `Source`, what receives rows is a `Sink`.
"""
