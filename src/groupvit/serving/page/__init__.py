"""The page for people: Gradio around two components of ours, which hold all that is drawn."""
