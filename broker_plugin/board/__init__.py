"""A local page of novelties for the astronomer who acts on them: look, compare, label.

What is shown lies in one SQLite file (:mod:`broker_plugin.board.store`). One thread fills it, from the topics
(:mod:`broker_plugin.board.topics`) or from the output of an offline run (:mod:`broker_plugin.board.folder`);
the web application (:mod:`broker_plugin.board.web`) reads it.
"""
