"""What the box knows: documents, cut into chunks, found again by meaning and by words."""
