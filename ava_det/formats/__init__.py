"""Files people have: annotations, label maps, boxes, results. Ids are 1-based here and only here."""
