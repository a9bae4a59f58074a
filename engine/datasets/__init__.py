"""Training data: what searches and rollouts know of questions, as records that trainers read.

``sampled`` has one question with its tree of sampled steps, the shape that every source is read into;
``from_log`` reads logs into it, ``merging`` makes equal steps one, ``selection`` drops what is not wanted.
``rows`` has the columns of each format, ``steps`` and ``solutions`` their writers, ``writing`` what a writer
gets, and ``formats`` the table of all. A ``dataset`` is questions through all of these; its ``card`` says
where it comes from. Files are the caller's.
"""
