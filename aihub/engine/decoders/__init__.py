"""Raw outputs to detections, one file per family; importing registers."""
