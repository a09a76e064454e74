"""Jobs: files that are analysed once, from beginning to end, beside the streams and after them."""
