"""Contracts: the document, the row, windows of a commitment, and the decisions that move a contract on. All pure."""
