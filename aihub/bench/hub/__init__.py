"""A whole hub in a process of its own: started, driven beyond what it can do, watched for hours."""
