"""The paper's own tables, what its text says of them, and tables of ours in its layout."""
