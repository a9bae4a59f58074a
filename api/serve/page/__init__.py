"""The page at ``/`` of the server: a conversation in which every answer says how sure it is.

``index.html`` is the page, and ``page.css`` its looks. Of its scripts ``page.js`` is the conversation,
``exchange.js`` one question with its answer, ``solutions.js`` how that came about, ``record.js`` the fold of
a search's events, ``stream.js`` speaks with the server, ``history.js`` keeps the last chats in the browser,
and ``markdown.js`` and ``dom.js`` make elements of texts.
``files`` serves them as they are: no build step, no framework, nothing from another host.
"""
