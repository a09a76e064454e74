"""Streams under measurement: cameras apart, hosts, the loop by hand, what a frame costs and where its time goes."""
