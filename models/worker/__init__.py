"""The process that hosts the models, and the ways to it: pipes on this machine, Ray on many."""
