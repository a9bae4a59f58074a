"""A recorded search as a document: pages, pictures, graphs and tables."""
