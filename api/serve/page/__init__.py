"""The page at ``/`` of the server: ask a question, watch its tree grow, read the answer and how likely it is.

``index.html`` is the page, ``page.css`` and ``tree.css`` are its looks. Of its scripts ``record.js`` folds
the events of a search, ``tree.js`` draws them, ``stream.js`` speaks with the server, ``history.js`` keeps the
last searches in the browser, and ``page.js`` is the form around all of it. ``files`` serves them as they are:
no build step, no framework, nothing from another host.
"""
