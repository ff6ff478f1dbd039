"""What the service is made of: which versions, under which licences, with which faults. Not part of the service."""
