"""What is written down of an evaluation: values for machines, a table, and a page for people."""
