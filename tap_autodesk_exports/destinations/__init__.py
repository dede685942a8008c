"""`autodesk-exports export`: the rows of exports straight into files and databases.

The second `Sink` of the loader. Nothing in here knows Singer: what the streams of the tap write as
messages goes into a `Destination`, together with the state of what was loaded, in one step.
"""
