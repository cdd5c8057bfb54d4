"""An example of a plug-in package: `pip install` it, and aftertune knows what it adds."""
