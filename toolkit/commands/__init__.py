"""The command line's own part: options and help made from the jobs' fields, bars, and what is printed."""
